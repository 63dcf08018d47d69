//! A reader of toy rule sets: lines of `key = value`, so that tests need no real rules.

use crate::rules::{InvalidRules, RuleReader, RuleSet, RuleSource};

/// By name, so that the same set is the same text whatever order it was written in.
type Map = std::collections::BTreeMap<String, serde_json::Value>;

/// A [`RuleReader`] of sets such as `name = "ops"`, `version = 2`, `signal = 0.7`. Only `name`, `version` and `signal` are
/// known; all but `signal` must be there. The shipped set is `default@1` with `signal = 0.5`.
#[derive(Clone, Debug, Default)]
pub struct MemoryRules {
    /// Part of every version, as a code revision is: two readers that differ in it stand for two builds.
    pub revision: u32,
}

impl MemoryRules {
    fn set(&self, json: &Map, shipped: bool) -> RuleSet {
        let data = serde_json::to_string(json).expect("texts and numbers");
        let hashed = format!("{} {data}", self.revision);
        let hash = xxhash_rust::xxh3::xxh3_64(hashed.as_bytes()) >> 32;
        let name = json["name"].as_str().unwrap_or_default();
        RuleSet {
            version: format!("{name}@{}+{hash:08x}", json["version"]),
            data: data.into(),
            shipped,
        }
    }
}

impl RuleReader for MemoryRules {
    fn shipped(&self) -> RuleSet {
        let set = [
            ("name", "default".into()),
            ("version", 1.into()),
            ("signal", 0.5.into()),
        ];
        self.set(
            &set.map(|(key, value)| (key.to_owned(), value)).into(),
            true,
        )
    }

    fn read(&self, source: RuleSource<'_>) -> Result<RuleSet, InvalidRules> {
        let invalid = |line, reason: &str| InvalidRules {
            line,
            reason: reason.to_owned(),
        };
        let json = match source {
            RuleSource::Json(text) => {
                serde_json::from_str(text).map_err(|e| invalid(Some(e.line()), "no JSON object"))?
            }
            RuleSource::Toml(text) => {
                let mut json = Map::new();
                for (line, n) in text.lines().zip(1..) {
                    let (line, _) = line.split_once('#').unwrap_or((line, ""));
                    if line.trim().is_empty() {
                        continue;
                    }
                    let (key, value) = line
                        .split_once('=')
                        .ok_or_else(|| invalid(Some(n), "expected `key = value`"))?;
                    let value = serde_json::from_str(value.trim())
                        .map_err(|_| invalid(Some(n), "no value"))?;
                    if !["name", "version", "signal"].contains(&key.trim()) {
                        return Err(invalid(Some(n), &format!("unknown key `{}`", key.trim())));
                    }
                    json.insert(key.trim().to_owned(), value);
                }
                json
            }
        };
        match ["name", "version"]
            .into_iter()
            .find(|key| !json.contains_key(*key))
        {
            Some(missing) => Err(invalid(None, &format!("`{missing}` is missing"))),
            None => Ok(self.set(&json, false)),
        }
    }

    fn to_toml(&self, data: &str) -> Result<String, InvalidRules> {
        let set = self.read(RuleSource::Json(data))?;
        let json: Map = serde_json::from_str(&set.data).map_err(|e| InvalidRules {
            line: Some(e.line()),
            reason: e.to_string(),
        })?;
        Ok(json.iter().map(|(k, v)| format!("{k} = {v}\n")).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_read_again_is_the_same_set() {
        let rules = MemoryRules::default();
        let set = rules
            .read(RuleSource::Toml("name = \"ops\" # ours\nversion = 2\n"))
            .unwrap();
        assert!(set.version.starts_with("ops@2+"), "{}", set.version);
        assert_eq!(rules.read(RuleSource::Json(&set.data)).unwrap(), set);
        let toml = rules.to_toml(&set.data).unwrap();
        assert_eq!(rules.read(RuleSource::Toml(&toml)).unwrap(), set);
        let refused = rules
            .read(RuleSource::Toml("name = \"ops\"\nvresion = 2"))
            .unwrap_err();
        assert_eq!(refused.line, Some(2));
    }
}
