//! What a configuration overrides, and what it is refused for.

use telesift_ports::record_log::Retention;

use super::*;

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config> {
    let environment: Vec<_> = environment
        .iter()
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect();
    Config::from_parts(
        (!file.is_empty()).then_some(("test.toml", file)),
        environment.into_iter(),
    )
}

#[test]
fn defaults_load() {
    let config = load("", &[]).unwrap();
    assert_eq!(config.server.listen, "127.0.0.1:8080");
    assert_eq!(config.limits, LimitsConfig::default());
    assert_eq!(
        Retention::from(config.log.retention["messages"]),
        Retention::default()
    );
}

#[test]
fn a_file_overrides_defaults_and_the_environment_overrides_both() {
    let file = "[server]\nlisten = \"127.0.0.1:1\"\nrequest_timeout_s = 5\n[log.retention.messages]\nmax_age_days = 2";
    let config = load(file, &[("TELESIFT__SERVER__LISTEN", "127.0.0.1:2")]).unwrap();
    assert_eq!(config.server.listen, "127.0.0.1:2");
    assert_eq!(config.server.request_timeout_s, 5);
    assert_eq!(
        Retention::from(config.log.retention["messages"]).max_age_s,
        Some(172_800)
    );
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_name() {
    let error = format!(
        "{:#}",
        load("[server]\nlisten_on = \"x\"", &[]).unwrap_err()
    );
    assert!(
        error.contains("unknown key `server.listen_on`") && error.contains("`server.listen`"),
        "{error}"
    );
    let error = format!(
        "{:#}",
        load("", &[("TELESIFT__SERVER__LISTN", "x")]).unwrap_err()
    );
    assert!(
        error.contains("TELESIFT__SERVER__LISTN") && error.contains("server.listen"),
        "{error}"
    );
}

#[test]
fn a_cluster_as_the_log_needs_what_its_security_asks_for() {
    assert!(load("[log]\nkind = \"fluvio\"", &[]).is_ok());
    let verified = "[log]\nkind = \"fluvio\"\n[log.fluvio]\ntls = \"verified\"";
    assert!(load(verified, &[]).is_err());
    let files = "tls_domain = \"a\"\ntls_ca_cert = \"b\"\ntls_cert = \"c\"\ntls_key = \"d\"";
    assert!(load(&format!("{verified}\n{files}"), &[]).is_ok());
    let wide = "[log]\nkind = \"fluvio\"\n[screen]\nbatch_records = 100000";
    assert!(load(wide, &[]).is_err());
}

#[test]
fn providers_and_budgets_come_from_the_file() {
    let usual = load("", &[]).unwrap().enrich;
    assert!(usual.providers().is_empty());
    assert_eq!(usual.limits().daily.micro_usd, Some(1_000_000));
    let file = "[enrich]\ndaily_usd = 0\ndaily_tokens = 5\nlocal = \"here\"\n[[enrich.providers]]\nname = \"here\"\nkind = \"ollama\"\nurl = \"http://127.0.0.1:11434\"\nmodel = \"small\"";
    let enrich = load(file, &[]).unwrap().enrich;
    let limits = enrich.limits();
    assert_eq!(
        (limits.daily.tokens, limits.daily.micro_usd),
        (Some(5), None)
    );
    assert_eq!(enrich.choice().local.as_deref(), Some("here"));
    let provider = &enrich.providers()[0].provider;
    assert!(provider.key.is_none() && provider.terms.max_tokens_out == 2_048);
    assert!(load(&format!("{file}\nprice = 3"), &[]).is_err());
    assert!(load("[enrich]\ndaily_usd = -1", &[]).is_err());
}

#[test]
fn values_of_a_wrong_type_are_refused() {
    assert!(load("[log]\npartitions = \"many\"", &[]).is_err());
    assert!(load("", &[("TELESIFT__LOG__PARTITIONS", "0")]).is_err());
    assert!(load("[server]\ntrusted_proxies = [\"10.0.0.0/33\"]", &[]).is_err());
    assert!(load("[server]\nallowed_origins = [\"*\"]", &[]).is_err());
    assert!(load("[limits]\nkey_burst = -1", &[]).is_err());
}

#[test]
fn places_that_nothing_can_be_opened_at_are_refused() {
    for (file, key) in [
        ("[catalog]\nurl = \"mysql://h/d\"", "catalog.url"),
        ("[store]\nuri = \"ftp://h/d\"", "store.uri"),
        ("[telegram]\napi_base = \"bogus\"", "telegram.api_base"),
        ("[telemetry]\nlog = \"bad=[[\"", "telemetry.log"),
    ] {
        let error = format!("{:#}", load(file, &[]).unwrap_err());
        assert!(error.contains(key), "{error}");
    }
    for file in [
        "[catalog]\nurl = \"postgres://u:p@h/d\"",
        "[store]\nuri = \"s3://bucket/path\"",
        "[store]\nuri = \"/data/lance\"",
    ] {
        load(file, &[]).unwrap();
    }
}
