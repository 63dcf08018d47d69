//! The arithmetic between the matrix products, on plain slices: loops of fixed width that the compiler makes vectors of, in
//! the widest form this processor has. Pure.

use pulp::Arch;

/// Values of one step: two registers of 8.
const LANES: usize = 16;
/// Queries whose scores are worked out together: each key is read once for all of them.
const ROWS: usize = 4;

/// `x + bias`, for each row of `values`, through `activation`.
pub(super) fn activate(values: &mut [f32], bias: &[f32], activation: Activation) {
    let each = |f: fn(f32) -> f32, values: &mut [f32]| values.iter_mut().for_each(|x| *x = f(*x));
    Arch::new().dispatch(|| {
        for row in values.chunks_exact_mut(bias.len()) {
            row.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
            match activation {
                Activation::Gelu => row.iter_mut().for_each(|x| *x = gelu(*x)),
                Activation::GeluByTanh => each(gelu_by_tanh, row),
                Activation::Relu => row.iter_mut().for_each(|x| *x = x.max(0.0)),
            }
        }
    });
}

/// What stands between the two matrices of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    Gelu,
    GeluByTanh,
    Relu,
}

/// A layer's scale and shift, for values of mean 0 and variance 1.
#[derive(Debug)]
pub(super) struct Norm {
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
    pub(super) epsilon: f32,
}

impl Norm {
    /// Rows of `values` plus `bias` plus the same row of `others`, normalised.
    pub(super) fn apply(&self, values: &mut [f32], bias: &[f32], others: &[f32]) {
        let width = self.scale.len();
        Arch::new().dispatch(|| {
            let rows = values.chunks_exact_mut(width);
            for (row, other) in rows.zip(others.chunks_exact(width)) {
                for ((x, b), o) in row.iter_mut().zip(bias).zip(other) {
                    *x += b + o;
                }
                self.normalise(row);
            }
        });
    }

    #[inline(always)]
    fn normalise(&self, row: &mut [f32]) {
        let n = row.len() as f32;
        let mean = sum(row, |x| x) / n;
        let variance = sum(row, |x| (x - mean) * (x - mean)) / n;
        let inverse = 1.0 / (variance + self.epsilon).sqrt();
        for ((x, scale), shift) in row.iter_mut().zip(&self.scale).zip(&self.shift) {
            *x = (*x - mean) * inverse * scale + shift;
        }
    }
}

/// Self-attention of one text. `qkv` holds a row per token: its query (scaled already), key and value, each of all heads;
/// `bias` is added to each. Returns a row per token.
pub(super) fn attend(qkv: &[f32], bias: &[f32], n_heads: usize, out: &mut [f32]) {
    let width = bias.len() / 3;
    let n = qkv.len() / bias.len();
    let head = width / n_heads;
    // Keys and scores are padded to whole steps, so that no loop has a rest.
    let padded = n.next_multiple_of(LANES);
    let padded_head = head.next_multiple_of(LANES);
    let mut queries = vec![0.0; n.next_multiple_of(ROWS) * head];
    let mut keys = vec![0.0; head * padded];
    let mut values = vec![0.0; n * padded_head];
    let mut scores = vec![0.0; ROWS * padded];
    Arch::new().dispatch(|| {
        for h in 0..n_heads {
            let part = |row: usize, which: usize| {
                let at = which * width + h * head;
                let row = &qkv[row * 3 * width..(row + 1) * 3 * width];
                row[at..at + head].iter().zip(&bias[at..at + head])
            };
            for i in 0..n {
                for (d, (x, b)) in part(i, 0).enumerate() {
                    queries[i * head + d] = x + b;
                }
                for (d, (x, b)) in part(i, 1).enumerate() {
                    keys[d * padded + i] = x + b;
                }
                for (d, (x, b)) in part(i, 2).enumerate() {
                    values[i * padded_head + d] = x + b;
                }
            }
            for first in (0..n).step_by(ROWS) {
                score(
                    &queries[first * head..(first + ROWS) * head],
                    &keys,
                    &mut scores,
                );
                for row in scores.chunks_exact_mut(padded) {
                    soften(&mut row[..n]);
                }
                let rows = ROWS.min(n - first);
                for at in (0..padded_head).step_by(LANES) {
                    let mixed = mix(&scores, padded, &values, padded_head, n, at);
                    let n_lanes = LANES.min(head - at);
                    for (r, lanes) in mixed.iter().enumerate().take(rows) {
                        let to = (first + r) * width + h * head + at;
                        out[to..to + n_lanes].copy_from_slice(&lanes[..n_lanes]);
                    }
                }
            }
        }
    });
}

/// The products of [`ROWS`] queries with all keys, which stand in columns.
#[inline(always)]
fn score(queries: &[f32], keys: &[f32], scores: &mut [f32]) {
    let head = queries.len() / ROWS;
    let padded = scores.len() / ROWS;
    for at in (0..padded).step_by(LANES) {
        let mut sums = [[0.0f32; LANES]; ROWS];
        for d in 0..head {
            let Some(keys) = keys[d * padded + at..].first_chunk::<LANES>() else {
                break;
            };
            for (r, sums) in sums.iter_mut().enumerate() {
                let query = queries[r * head + d];
                for (sum, key) in sums.iter_mut().zip(keys) {
                    *sum += query * key;
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            scores[r * padded + at..r * padded + at + LANES].copy_from_slice(sums);
        }
    }
}

/// [`LANES`] values from `at` on of each row, mixed by its scores.
#[inline(always)]
fn mix(
    scores: &[f32],
    padded: usize,
    values: &[f32],
    width: usize,
    n: usize,
    at: usize,
) -> [[f32; LANES]; ROWS] {
    let mut sums = [[0.0f32; LANES]; ROWS];
    for i in 0..n {
        let Some(values) = values[i * width + at..].first_chunk::<LANES>() else {
            break;
        };
        for (r, sums) in sums.iter_mut().enumerate() {
            let score = scores[r * padded + i];
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += score * value;
            }
        }
    }
    sums
}

/// Softmax.
#[inline(always)]
fn soften(row: &mut [f32]) {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    row.iter_mut().for_each(|x| *x = exp(*x - most));
    let inverse = 1.0 / sum(row, |x| x);
    row.iter_mut().for_each(|x| *x *= inverse);
}

/// A sum in [`LANES`] parts: one after the other would wait for each addition.
#[inline(always)]
fn sum(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (whole, rest) = row.as_chunks::<LANES>();
    for part in whole {
        for (sum, x) in sums.iter_mut().zip(part) {
            *sum += f(*x);
        }
    }
    let rest: f32 = rest.iter().map(|x| f(*x)).sum();
    sums.iter().sum::<f32>() + rest
}

/// e to the power of `x`, for `x` up to 0; relative error below 3e-7. Cephes' `expf`, without branches.
#[expect(
    clippy::excessive_precision,
    reason = "constants as they were published"
)]
#[inline(always)]
fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: what is added to it is rounded to a whole number
    let x = x.max(-87.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 5.000_000_1e-1;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    (p * r * r + r + 1.0) * power
}

#[inline(always)]
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

#[expect(
    clippy::excessive_precision,
    reason = "constants as they were published"
)]
#[inline(always)]
fn gelu_by_tanh(x: f32) -> f32 {
    let inner = 0.797_884_56 * (x + 0.044_715 * x * x * x);
    // tanh by e to a power up to 0.
    let e = exp(-2.0 * inner.abs());
    let tanh = (1.0 - e) / (1.0 + e);
    0.5 * x * (1.0 + tanh.copysign(inner))
}

/// The error function; error below 2e-7. A ratio of polynomials as in Eigen's `generic_fast_erf`.
#[expect(
    clippy::excessive_precision,
    reason = "constants as they were published"
)]
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let y = x * x;
    let p = -2.726_142_3e-10;
    let p = p * y + 2.770_681_4e-8;
    let p = p * y - 2.101_024e-6;
    let p = p * y - 5.692_506_4e-5;
    let p = p * y - 7.349_906e-4;
    let p = p * y - 2.954_599_9e-3;
    let p = p * y - 1.609_603_3e-2;
    let q = -1.456_607_2e-5;
    let q = q * y - 2.133_740_5e-4;
    let q = q * y - 1.682_827e-3;
    let q = q * y - 7.373_329e-3;
    let q = q * y - 1.426_473_9e-2;
    x * p / q
}

#[cfg(test)]
mod tests;
