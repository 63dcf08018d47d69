//! How many of a group's duties are this worker's.

use telesift_ports::leases::Worker;

/// The fair share of `me` in `n_duties` among the live workers of `role`: they differ by one at most, and those who have
/// lived longer have the greater ones, so that a newcomer moves as little as can be. Everything, while nobody else is
/// known.
pub(super) fn quota(n_duties: usize, me: &str, role: &str, workers: &[Worker]) -> usize {
    let peers = workers.iter().filter(|w| w.roles.iter().any(|r| r == role));
    let peers: Vec<&str> = peers.map(|w| w.id.as_str()).collect();
    let Some(rank) = peers.iter().position(|id| *id == me) else {
        return if peers.is_empty() { n_duties } else { 0 };
    };
    n_duties / peers.len() + usize::from(rank < n_duties % peers.len())
}

#[cfg(test)]
mod tests {
    use telesift_schemas::Timestamp;

    use super::*;

    fn workers(n: usize) -> Vec<Worker> {
        let worker = |i| Worker {
            id: format!("w{i}"),
            roles: vec!["screen".to_owned()],
            since: Timestamp::UNIX_EPOCH,
        };
        (0..n).map(worker).collect()
    }

    #[test]
    fn everything_is_somebodys_and_nobody_has_two_more_than_another() {
        for n_duties in 0..9 {
            for n_workers in 1..6 {
                let workers = workers(n_workers);
                let quotas = workers
                    .iter()
                    .map(|w| quota(n_duties, &w.id, "screen", &workers));
                let quotas: Vec<usize> = quotas.collect();
                assert_eq!(quotas.iter().sum::<usize>(), n_duties);
                let spread = quotas.iter().max().zip(quotas.iter().min());
                assert!(
                    spread.is_some_and(|(max, min)| max - min <= 1),
                    "{quotas:?}"
                );
            }
        }
    }

    #[test]
    fn workers_of_other_roles_do_not_count() {
        let mut workers = workers(3);
        workers[0].roles = vec!["index".to_owned()];
        assert_eq!(quota(4, "w1", "screen", &workers), 2);
        assert_eq!(quota(1, "w0", "index", &workers), 1);
        assert_eq!(quota(1, "w1", "index", &workers), 0);
        assert_eq!(quota(3, "me", "screen", &[]), 3);
    }
}
