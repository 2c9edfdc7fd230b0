//! ml_inference: a logistic regression. Its weights are its configuration, so a model is a part of the
//! workflow that uses it, with the workflow's versions.
//!
//! ```text
//! config   {"features": ["amount", "age_days"], "weights": [0.002, -0.01], "bias": -1.5,
//!           "means": [..], "scales": [..], "threshold": 0.5}        the last three may be left out
//! input    {"features": {"amount": 900, "age_days": 12}}
//! output   {"score": 0.56, "positive": true}
//! ```
//!
//! A larger model would be a file, named in the configuration and under `read` in the manifest, and
//! loaded in `init`.

use distric_plugin_sdk::{Failure, Plugin, Task, Value, export_plugin, json};
use std::ffi::CStr;

/// A model, ready to be used.
pub struct Model {
    features: Vec<Feature>,
    bias: f64,
    threshold: f64,
}

struct Feature {
    name: String,
    weight: f64,
    mean: f64,
    scale: f64,
}

/// Features of a model. A dot product of so many is microseconds.
const FEATURES_MAX: usize = 10_000;

fn number(config: &Value, key: &str, default: f64) -> Result<f64, String> {
    match &config[key] {
        Value::Null => Ok(default),
        value => value.as_f64().ok_or_else(|| format!("`{key}` must be a number")),
    }
}

fn numbers(config: &Value, key: &str, count: usize, default: f64) -> Result<Vec<f64>, String> {
    let wrong = || format!("`{key}` must be a list of {count} numbers, one a feature");
    match &config[key] {
        Value::Null => Ok(vec![default; count]),
        Value::Array(list) if list.len() == count => {
            list.iter().map(Value::as_f64).collect::<Option<_>>().ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

impl Model {
    fn of(config: &Value) -> Result<Self, String> {
        const KEYS: [&str; 6] = ["features", "weights", "bias", "means", "scales", "threshold"];
        let fields = config.as_object().ok_or("the configuration must be a model: a map")?;
        if let Some(key) = fields.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(format!("a model has no `{key}`"));
        }
        let names = config["features"].as_array().ok_or("`features` must be a list of names")?;
        let count = names.len();
        if count == 0 || count > FEATURES_MAX {
            return Err(format!("a model has 1 to {FEATURES_MAX} features, not {count}"));
        }
        if config["weights"].is_null() {
            return Err("a model needs `weights`".to_owned());
        }
        let weights = numbers(config, "weights", count, 0.0)?;
        let means = numbers(config, "means", count, 0.0)?;
        let scales = numbers(config, "scales", count, 1.0)?;
        if scales.contains(&0.0) {
            return Err("a scale of 0 divides by zero".to_owned());
        }
        let mut features = Vec::with_capacity(count);
        for (index, name) in names.iter().enumerate() {
            let name = name.as_str().ok_or("a feature's name must be text")?.to_owned();
            let (weight, mean, scale) = (weights[index], means[index], scales[index]);
            features.push(Feature { name, weight, mean, scale });
        }
        let threshold = number(config, "threshold", 0.5)?;
        Ok(Self { features, bias: number(config, "bias", 0.0)?, threshold })
    }
}

impl Plugin for Model {
    const NAME: &CStr = c"ml_inference";
    const VERSION: &CStr = c"1.0.0";

    fn validate_config(config: &Value) -> Result<(), String> {
        Self::of(config).map(|_| ())
    }

    fn init(config: &Value) -> Result<Self, Failure> {
        Self::of(config).map_err(Failure::from)
    }

    fn execute(&self, _task: &Task<'_>, input: &Value) -> Result<Value, Failure> {
        let given = &input["features"];
        let mut sum = self.bias;
        for Feature { name, weight, mean, scale } in &self.features {
            let value = given[name.as_str()].as_f64().ok_or_else(|| {
                Failure::new("missing_feature", format!("the input has no number `{name}`"))
            })?;
            sum += weight * (value - mean) / scale;
        }
        let score = 1.0 / (1.0 + (-sum).exp());
        Ok(json!({ "score": score, "positive": score >= self.threshold }))
    }
}

export_plugin!(Model);

#[cfg(test)]
mod tests {
    use super::*;
    use distric_plugin_sdk::testing;

    #[test]
    fn a_score_is_that_of_the_regression() {
        let config = json!({
            "features": ["a", "b"], "weights": [2, -1], "bias": 0.5,
            "means": [1, 0], "scales": [2, 4], "threshold": 0.6
        });
        // 0.5 + 2 * (3 - 1) / 2 - 1 * (6 - 0) / 4 = 1
        let said = testing::run::<Model>(&config, &json!({"features": {"a": 3, "b": 6}})).unwrap();
        let score = said["score"].as_f64().unwrap();
        assert!((score - 0.731_058_578_630_004_9).abs() < 1e-12, "{score}");
        assert_eq!(said["positive"], true);
    }

    #[test]
    fn a_model_that_is_none_and_a_feature_that_is_not_there_are_told() {
        let rows = [
            (json!(null), "must be a model"),
            (json!({"features": []}), "1 to 10000 features"),
            (json!({"features": ["a"]}), "needs `weights`"),
            (json!({"features": ["a"], "weights": [1, 2]}), "a list of 1 numbers"),
            (json!({"features": ["a"], "weights": [1], "scales": [0]}), "divides by zero"),
            (json!({"features": ["a"], "weights": [1], "wights": [1]}), "has no `wights`"),
        ];
        for (config, words) in rows {
            let said = testing::validate::<Model>(&config).unwrap_err();
            assert!(said.contains(words), "{config}: {said}");
        }
        let model = json!({"features": ["a"], "weights": [1]});
        let failed = testing::run::<Model>(&model, &json!({"features": {}})).unwrap_err();
        assert_eq!(failed.code(), "missing_feature");
    }
}
