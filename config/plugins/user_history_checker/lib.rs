//! user_history_checker: what a user's history says about an order.
//!
//! The history comes with the input, as the workflow has it from wherever it is kept: a plugin holds
//! no state that must outlive its process.
//!
//! ```text
//! config   {"orders_min": 2, "chargebacks_max": 0, "amount_factor": 5}     all may be left out
//! input    {"amount": 120, "history": [{"amount": 30, "status": "paid"}, ...]}
//! output   {"verdict": "known" | "new" | "suspicious", "orders": 7, "chargebacks": 0, "average": 31.5}
//! ```

use distric_plugin_sdk::{Failure, Plugin, Task, Value, export_plugin, json};
use std::ffi::CStr;

/// What makes a user known, and what makes an order odd.
pub struct UserHistoryChecker {
    orders_min: u64,
    chargebacks_max: u64,
    amount_factor: f64,
}

impl UserHistoryChecker {
    fn of(config: &Value) -> Result<Self, String> {
        let mut made = Self { orders_min: 2, chargebacks_max: 0, amount_factor: 5.0 };
        if config.is_null() {
            return Ok(made);
        }
        let fields = config.as_object().ok_or("the configuration must be a map")?;
        for (key, value) in fields {
            let wrong = || format!("`{key}` cannot be {value}");
            match key.as_str() {
                "orders_min" => made.orders_min = value.as_u64().ok_or_else(wrong)?,
                "chargebacks_max" => made.chargebacks_max = value.as_u64().ok_or_else(wrong)?,
                "amount_factor" => {
                    let factor = value.as_f64().filter(|factor| *factor >= 1.0);
                    made.amount_factor = factor.ok_or_else(wrong)?;
                }
                _ => return Err(format!("there is no `{key}`")),
            }
        }
        Ok(made)
    }
}

impl Plugin for UserHistoryChecker {
    const NAME: &CStr = c"user_history_checker";
    const VERSION: &CStr = c"1.0.0";

    fn validate_config(config: &Value) -> Result<(), String> {
        Self::of(config).map(|_| ())
    }

    fn init(config: &Value) -> Result<Self, Failure> {
        Self::of(config).map_err(Failure::from)
    }

    fn execute(&self, task: &Task<'_>, input: &Value) -> Result<Value, Failure> {
        let amount = input["amount"].as_f64().ok_or("the input has no number `amount`")?;
        let history = match &input["history"] {
            Value::Null => &[],
            Value::Array(orders) => orders.as_slice(),
            _ => return Err("`history` must be a list of orders".into()),
        };
        let status = |order: &Value, status: &str| order["status"] == status;
        let paid: Vec<f64> = history
            .iter()
            .filter(|order| status(order, "paid"))
            .filter_map(|order| order["amount"].as_f64())
            .collect();
        let chargebacks = history.iter().filter(|order| status(order, "chargeback")).count() as u64;
        let orders = paid.len() as u64;
        #[allow(clippy::cast_precision_loss, reason = "nobody has 2^52 orders")]
        let average = if paid.is_empty() { 0.0 } else { paid.iter().sum::<f64>() / orders as f64 };
        let is_known = orders >= self.orders_min;
        let is_odd = is_known && amount > average * self.amount_factor;
        let verdict = match (chargebacks > self.chargebacks_max || is_odd, is_known) {
            (true, _) => "suspicious",
            (false, true) => "known",
            (false, false) => "new",
        };
        task.info(&format!("{orders} orders, {chargebacks} chargebacks: {verdict}"));
        Ok(json!({
            "verdict": verdict, "orders": orders, "chargebacks": chargebacks, "average": average
        }))
    }
}

export_plugin!(UserHistoryChecker);

#[cfg(test)]
mod tests {
    use super::*;
    use distric_plugin_sdk::testing;

    #[test]
    fn a_history_gives_a_verdict() {
        let order = |amount: u32, status: &str| json!({"amount": amount, "status": status});
        let rows = [
            (100, vec![], "new"),
            (100, vec![order(10, "paid")], "new"),
            (40, vec![order(10, "paid"), order(30, "paid")], "known"),
            (101, vec![order(10, "paid"), order(30, "paid")], "suspicious"),
            (10, vec![order(10, "paid"), order(30, "paid"), order(5, "chargeback")], "suspicious"),
        ];
        for (amount, history, verdict) in rows {
            let input = json!({"amount": amount, "history": history});
            let said = testing::run::<UserHistoryChecker>(&json!(null), &input).unwrap();
            assert_eq!(said["verdict"], verdict, "{input}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = testing::validate::<UserHistoryChecker>(&json!({"orders": 1})).unwrap_err();
        assert_eq!(wrong, "there is no `orders`");
        let wrong =
            testing::validate::<UserHistoryChecker>(&json!({"amount_factor": 0})).unwrap_err();
        assert_eq!(wrong, "`amount_factor` cannot be 0");
        let failed = testing::run::<UserHistoryChecker>(&json!({}), &json!({})).unwrap_err();
        assert_eq!(failed.message(), "the input has no number `amount`");
    }
}
