use std::io::Read;
use telesift_signal_score::*;
fn main() {
    let mut s = String::new();
    std::io::stdin().read_to_string(&mut s).unwrap();
    let r = Rules::default();
    for l in s.split('\0') {
        let v = MessageView::of_text(l);
        let x = Scored::new(&v, &r);
        let e = explain(&v, &r);
        let top: Vec<String> = e
            .factors
            .iter()
            .filter(|f| f.contribution != 0.0)
            .take(3)
            .map(|f| format!("{} {:+.1}", f.name, f.contribution))
            .collect();
        println!(
            "{:<11} {:.2} spam {:.2} | {} | {}",
            x.class.as_str(),
            x.score,
            x.spam_score,
            l.replace('\n', " ").chars().take(110).collect::<String>(),
            top.join(", ")
        );
    }
}
