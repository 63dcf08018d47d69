use super::*;

#[test]
fn exp_and_erf_are_those_of_the_books() {
    for i in 0..8_700 {
        let x = -i as f32 / 100.0;
        let (found, right) = (f64::from(exp(x)), f64::from(x).exp());
        assert!(
            (found / right - 1.0).abs() < 3e-7,
            "e^{x}: {found}, {right}"
        );
    }
    assert!(exp(-1e9) < 1e-37);
    // From tables: Abramowitz and Stegun, 7.1.
    for (x, right) in [
        (0.0, 0.0),
        (0.1, 0.112_462_9),
        (0.5, 0.520_499_9),
        (1.0, 0.842_700_8),
        (2.0, 0.995_322_3),
        (3.0, 0.999_977_9),
        (9.0, 1.0),
    ] {
        assert!((erf(x) - right).abs() < 2e-7, "erf {x}: {}", erf(x));
        assert!((erf(-x) + right).abs() < 2e-7, "erf -{x}: {}", erf(-x));
    }
}

#[test]
fn activations_add_the_bias_first() {
    let bias = [0.5, -0.5, 0.0];
    let apply = |activation| {
        let mut values = [0.5, -0.5, 3.0];
        activate(&mut values, &bias, activation);
        values
    };
    assert_eq!(apply(Activation::Relu), [1.0, 0.0, 3.0]);
    let near = |a: [f32; 3], b: [f32; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
    let gelu = apply(Activation::Gelu);
    assert!(
        near(gelu, [0.841_344_7, -0.158_655_3, 2.995_950_2]),
        "{gelu:?}"
    );
    let tanh = apply(Activation::GeluByTanh);
    assert!(near(tanh, [0.841_192, -0.158_808, 2.996_363]), "{tanh:?}");
}

#[test]
fn a_normalised_row_has_the_mean_and_spread_it_should_have() {
    let norm = Norm {
        scale: vec![2.0; 20],
        shift: vec![1.0; 20],
        epsilon: 1e-12,
    };
    let mut row: Vec<f32> = (0..20).map(|i| i as f32).collect();
    norm.apply(&mut row, &[0.5; 20], &[100.0; 20]);
    let mean = row.iter().sum::<f32>() / 20.0;
    let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / 20.0;
    assert!(
        (mean - 1.0).abs() < 1e-5 && (variance - 4.0).abs() < 1e-4,
        "{mean} {variance}"
    );
}

/// Attention as the paper writes it, in f64.
fn slowly(qkv: &[f32], bias: &[f32], n_heads: usize) -> Vec<f64> {
    let width = bias.len() / 3;
    let (n, head) = (qkv.len() / bias.len(), width / n_heads);
    let at = |i: usize, which: usize, d: usize| {
        let place = which * width + d;
        f64::from(qkv[i * 3 * width + place]) + f64::from(bias[place])
    };
    let mut out = vec![0.0; n * width];
    for h in 0..n_heads {
        let dims = || h * head..(h + 1) * head;
        for i in 0..n {
            let scores =
                (0..n).map(|j| dims().map(|d| at(i, 0, d) * at(j, 1, d)).sum::<f64>().exp());
            let scores: Vec<f64> = scores.collect();
            let total: f64 = scores.iter().sum();
            for d in dims() {
                let mixed: f64 = scores
                    .iter()
                    .enumerate()
                    .map(|(j, s)| s * at(j, 2, d))
                    .sum();
                out[i * width + d] = mixed / total;
            }
        }
    }
    out
}

#[test]
fn attention_is_that_of_the_paper_whatever_the_lengths() {
    for (n, n_heads, head) in [(1, 1, 8), (3, 2, 8), (17, 3, 32), (40, 2, 20), (64, 1, 64)] {
        let width = n_heads * head;
        let number = |i: usize| ((i * 7_919 + n) % 1_000) as f32 / 500.0 - 1.0;
        let qkv: Vec<f32> = (0..n * 3 * width).map(number).collect();
        let bias: Vec<f32> = (0..3 * width).map(|i| number(i + 5) / 4.0).collect();
        let mut found = vec![0.0; n * width];
        attend(&qkv, &bias, n_heads, &mut found);
        for (found, right) in found.iter().zip(slowly(&qkv, &bias, n_heads)) {
            assert!(
                (f64::from(*found) - right).abs() < 1e-5,
                "{n} {head}: {found} {right}"
            );
        }
    }
}
