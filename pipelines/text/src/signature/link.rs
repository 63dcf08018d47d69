//! A link without what tells who shared it, so that the same page has the same link.

/// Parameters that only follow people around.
const TRACKING: &[&str] = &[
    "fbclid",
    "gclid",
    "yclid",
    "igshid",
    "igsh",
    "mc_cid",
    "mc_eid",
    "si",
    "ref",
    "ref_src",
    "feature",
    "_openstat",
];

/// The link in lower case, without scheme, `www.`, fragment, closing slash and tracking parameters.
pub(super) fn without_tracking(url: &str) -> String {
    let url = url.to_lowercase();
    let url = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let url = url.strip_prefix("www.").unwrap_or(url);
    let url = url.split_once('#').map_or(url, |(page, _)| page);
    let Some((page, query)) = url.split_once('?') else {
        return url.trim_end_matches('/').to_owned();
    };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|parameter| {
            let name = parameter.split('=').next().unwrap_or_default();
            !name.is_empty() && !name.starts_with("utm_") && !TRACKING.contains(&name)
        })
        .collect();
    let page = page.trim_end_matches('/');
    if kept.is_empty() {
        page.to_owned()
    } else {
        format!("{page}?{}", kept.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracking_is_cut_and_the_page_stays() {
        for (url, page) in [
            ("https://a.example/x?utm_source=tg&id=5", "a.example/x?id=5"),
            ("http://www.a.example/x/?fbclid=1#top", "a.example/x"),
            ("A.example/?b=1&&si=2", "a.example?b=1"),
            ("t.me/chan/5", "t.me/chan/5"),
        ] {
            assert_eq!(without_tracking(url), page);
        }
    }
}
