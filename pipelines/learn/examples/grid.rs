use std::path::Path;
use telesift_learn::{corpus, fit::*, folds::*, metrics::*, screening::*, spam, train::*};
use telesift_schemas::Class;
use telesift_signal_score::Rules;
fn main() {
    let dir = Path::new("smartmodules/signal-score");
    let own = corpus::own(&dir.join("training")).unwrap();
    let f = corpus::further(Path::new("../shared/data")).unwrap();
    let rules =
        Rules::from_toml(&std::fs::read_to_string(dir.join("rules/prior.toml")).unwrap()).unwrap();
    let what = std::env::args().nth(1).unwrap();
    if what == "imp" {
        for w in [8.0, 14.0, 25.0] {
            for g in [0.1, 0.5] {
                for d in [0.1, 1.0] {
                    for sc in [1.0] {
                        let mut srcs = own.clone();
                        let mut i = f.importance.clone();
                        i.weight = w;
                        srcs.push(i);
                        let o = Options {
                            gram_penalty: g,
                            dense_penalty: d,
                            second_cut: sc,
                            n_steps: 150,
                        };
                        let all: Vec<_> = srcs
                            .iter()
                            .flat_map(|x| {
                                samples(&x.labels, &rules, x.weight)
                                    .into_iter()
                                    .map(|y| (x.name.clone(), y))
                            })
                            .collect();
                        let smp: Vec<_> = all.iter().map(|x| x.1.clone()).collect();
                        let l = out_of_fold(&smp, &rules, o, 5);
                        let k: Vec<_> = smp
                            .iter()
                            .zip(&l)
                            .map(|(s, l)| (*l, s.example.level > 0, s.example.weight))
                            .collect();
                        let (a, b) = calibrate(&k);
                        let get = |imp: bool| -> Vec<(f64, Class)> {
                            all.iter()
                                .zip(&l)
                                .filter(|((n, _), _)| (n == "importance") == imp)
                                .map(|((_, s), l)| {
                                    (a * l + b, Class::ALL[s.example.level as usize])
                                })
                                .collect()
                        };
                        let (ow, im) = (get(false), get(true));
                        let f1 = |v: &[(f64, Class)], w: f64, s: f64| {
                            let mut c = Confusion::default();
                            for (l, t) in v {
                                c.add(*t, class_of(*l, w, s));
                            }
                            c.macro_f1()
                        };
                        let mut best = (0.0, 0.0, 0.0);
                        for w in 20..70 {
                            for s in w..99 {
                                let (w, s) = (w as f64 / 100., s as f64 / 100.);
                                let m = f1(&ow, w, s) + f1(&im, w, s);
                                if m > best.2 {
                                    best = (w, s, m);
                                }
                            }
                        }
                        for c in [0.25, 0.3, 0.35, 0.4, 0.5] {
                            for s in [0.94, 0.96, 0.97] {
                                print!("[{c} {s}: {:.3} {:.3}] ", f1(&ow, c, s), f1(&im, c, s));
                            }
                        }
                        println!();
                        println!(
                            "w {w} g {g} d {d} sc {sc}: own {:.3} imp {:.3} at {} {}",
                            f1(&ow, best.0, best.1),
                            f1(&im, best.0, best.1),
                            best.0,
                            best.1
                        );
                    }
                }
            }
        }
    } else {
        let posts: Vec<_> = std::fs::read_dir("../shared/data/posts")
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.to_string_lossy().contains("_messages"))
            .flat_map(|p| {
                let v: Vec<serde_json::Value> =
                    serde_json::from_slice(&std::fs::read(p).unwrap()).unwrap();
                v.into_iter()
                    .step_by(4)
                    .map(|x| telesift_learn::Labelled {
                        text: x["text"].as_str().unwrap_or("").into(),
                        lang: String::new(),
                        class: None,
                        spam: Some(false),
                        chat: None,
                    })
                    .collect::<Vec<_>>()
            })
            .collect();
        let ps = spam::samples(&posts, &rules, 1.0);
        for g in [0.01, 0.02] {
            for d in [2.0] {
                for bal in [2.0, 4.0] {
                    for cw in [1.0, 4.0, 8.0] { let ws = 3.0;
                        let o = Options {
                            gram_penalty: g,
                            dense_penalty: d,
                            second_cut: 0.0,
                            n_steps: 150,
                        };
                        let weigh = |mut v: Vec<Sample<'static>>| {
                            for s in &mut v {
                                if s.example.level == 1 {
                                    s.example.weight *= bal;
                                }
                            }
                            v
                        };
                        let mk = |l: &Vec<telesift_learn::Labelled>, w: f64| {
                            let l: &'static Vec<_> = Box::leak(Box::new(l.clone()));
                            weigh(spam::samples(l, &rules, w))
                        };
                        let ow: Vec<_> = own.iter().flat_map(|s| mk(&s.labels, if s.name.starts_with("channels") { cw } else { 1.0 })).collect();
                        let sh = mk(&f.spam.labels, ws);
                        let mut by = vec![];
                        for fold in 0..5 {
                            let tr: Vec<Example> = ow
                                .iter()
                                .chain(&sh)
                                .filter(|x| fold_of(&x.label.text, 5) != fold)
                                .map(|x| x.example.clone())
                                .collect();
                            let m = spam::train(&tr, &rules, o);
                            for x in sh.iter().filter(|x| fold_of(&x.label.text, 5) == fold) {
                                by.push((
                                    x.example.level == 1,
                                    sigmoid(m.logit(&x.example)),
                                    fold,
                                    true,
                                ));
                            }
                            for x in ow.iter().filter(|x| fold_of(&x.label.text, 5) == fold) {
                                by.push((
                                    x.example.level == 1,
                                    sigmoid(m.logit(&x.example)),
                                    fold,
                                    false,
                                ));
                            }
                        }
                        let m = spam::train(
                            &ow.iter()
                                .chain(&sh)
                                .map(|x| x.example.clone())
                                .collect::<Vec<_>>(),
                            &rules,
                            o,
                        );
                        let pp: Vec<f64> =
                            ps.iter().map(|x| sigmoid(m.logit(&x.example))).collect();
                        for cut in [0.5, 0.6, 0.7] {
                            let mut b = Binary::default();
                            let mut ob = Binary::default();
                            for (t, p, _, s) in &by {
                                if *s {
                                    b.add(*t, *p >= cut)
                                } else {
                                    ob.add(*t, *p >= cut)
                                }
                            }
                            println!(
                                "cw {cw} g {g} d {d} bal {bal} ws {ws} cut {cut}: shared recall {:.3} fpr {:.4} own recall {:.3} fpr {:.4} posts {:.4}",
                                b.figures().recall,
                                b.false_positive_rate(),
                                ob.figures().recall,
                                ob.false_positive_rate(),
                                pp.iter().filter(|p| **p >= cut).count() as f64 / pp.len() as f64
                            );
                        }
                    }
                }
            }
        }
    }
}
