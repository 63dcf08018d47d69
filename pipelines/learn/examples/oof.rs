use std::path::Path;
use telesift_learn::{corpus, fit::sigmoid, screening::*, train::*};
use telesift_schemas::Class;
use telesift_signal_score::Rules;
fn main() {
    let dir = Path::new("smartmodules/signal-score");
    let mut s = corpus::own(&dir.join("training")).unwrap();
    let f = corpus::further(Path::new("../shared/data")).unwrap();
    s.push(f.importance);
    let rules =
        Rules::from_toml(&std::fs::read_to_string(dir.join("rules/prior.toml")).unwrap()).unwrap();
    let name = std::env::args().nth(1).unwrap();
    let all: Vec<_> = s
        .iter()
        .flat_map(|x| {
            samples(&x.labels, &rules, x.weight)
                .into_iter()
                .map(|y| (x.name.clone(), y))
        })
        .collect();
    let smp: Vec<_> = all.iter().map(|x| x.1.clone()).collect();
    let l = out_of_fold(&smp, &rules, IMPORTANCE, 5);
    let k: Vec<_> = smp
        .iter()
        .zip(&l)
        .map(|(s, l)| (*l, s.example.level > 0, s.example.weight))
        .collect();
    let (a, b) = calibrate(&k);
    for ((n, s), l) in all.iter().zip(&l) {
        if *n != name {
            continue;
        }
        let p = sigmoid(a * l + b);
        let c = class_of(a * l + b, 0.5, 0.96);
        if c as u8 != s.example.level {
            println!(
                "{} {} -> {} {:.2} {}",
                s.label.lang,
                Class::ALL[s.example.level as usize].as_str(),
                c.as_str(),
                p,
                s.label
                    .text
                    .chars()
                    .take(120)
                    .collect::<String>()
                    .replace('\n', " ")
            );
        }
    }
}
