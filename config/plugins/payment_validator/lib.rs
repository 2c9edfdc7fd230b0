//! payment_validator: looks over a payment before it is made. The same plugin as
//! payment_validator.c, in Rust.

use distric_plugin_sdk::{Failure, Plugin, Task, Value, export_plugin, json};
use std::ffi::CStr;

/// What a payment is held against.
pub struct PaymentValidator {
    amount_max: f64,
    /// None: any.
    currencies: Vec<String>,
}

/// What a configuration may be.
const EXPECTED: &str = "expected {\"amount_max\": a number above 0, \"currencies\": [at most 16 \
                        codes of 3 letters]}";

impl PaymentValidator {
    fn of(config: &Value) -> Option<Self> {
        let mut made = Self { amount_max: 10_000.0, currencies: Vec::new() };
        if config.is_null() {
            return Some(made);
        }
        for (key, value) in config.as_object()? {
            match key.as_str() {
                "amount_max" => made.amount_max = value.as_f64().filter(|amount| *amount > 0.0)?,
                "currencies" => {
                    let codes = value.as_array().filter(|codes| codes.len() <= 16)?;
                    let codes = codes.iter().map(|code| {
                        code.as_str().filter(|code| code.len() <= 3).map(ToOwned::to_owned)
                    });
                    made.currencies = codes.collect::<Option<_>>()?;
                }
                // A key that is mistyped must not be another limit.
                _ => return None,
            }
        }
        Some(made)
    }

    fn takes(&self, currency: &str) -> bool {
        match self.currencies.as_slice() {
            [] => currency.len() == 3,
            known => known.iter().any(|known| known == currency),
        }
    }
}

impl Plugin for PaymentValidator {
    const NAME: &CStr = c"payment_validator";
    const VERSION: &CStr = c"1.0.0";

    fn validate_config(config: &Value) -> Result<(), String> {
        Self::of(config).map(|_| ()).ok_or_else(|| EXPECTED.to_owned())
    }

    fn init(config: &Value) -> Result<Self, Failure> {
        Self::of(config).ok_or_else(|| EXPECTED.into())
    }

    fn execute(&self, task: &Task<'_>, input: &Value) -> Result<Value, Failure> {
        let Some(amount) = input["amount"].as_f64() else {
            let message = "expected {\"amount\": ..., \"currency\": ..., \"card\": ...}";
            return Err(Failure::new("bad_payment", message));
        };
        let text = |key: &str| input[key].as_str().unwrap_or_default();
        let rows = [
            (amount > 0.0, "amount is not above zero"),
            (amount <= self.amount_max, "amount is above the limit"),
            (self.takes(text("currency")), "currency is not accepted"),
            (is_card_number(text("card")), "card number is wrong"),
        ];
        let reasons: Vec<_> =
            rows.iter().filter(|(holds, _)| !holds).map(|(_, why)| *why).collect();
        if !reasons.is_empty() {
            task.info("a payment is not valid");
        }
        Ok(json!({ "valid": reasons.is_empty(), "reasons": reasons }))
    }
}

/// ISO/IEC 7812-1, annex B: every second digit from the right is doubled, the sum ends in 0.
fn is_card_number(card: &str) -> bool {
    let mut sum = 0;
    for (index, letter) in card.bytes().rev().enumerate() {
        let digit = match letter {
            b'0'..=b'9' => u32::from(letter - b'0'),
            _ => return false,
        };
        sum += match (index % 2, digit) {
            (0, digit) => digit,
            (_, 5..) => 2 * digit - 9,
            (_, digit) => 2 * digit,
        };
    }
    (12..=19).contains(&card.len()) && sum % 10 == 0
}

export_plugin!(PaymentValidator);

#[cfg(test)]
mod tests {
    use super::*;
    use distric_plugin_sdk::testing;

    #[test]
    fn a_card_number_ends_in_its_check_digit() {
        for (card, holds) in [
            ("4111111111111111", true),
            ("5500005555555559", true),
            ("4111111111111112", false),
            ("4111 1111 1111 1111", false),
            ("0", false),
            ("", false),
        ] {
            assert_eq!(is_card_number(card), holds, "{card}");
        }
    }

    #[test]
    fn a_payment_is_held_against_the_configuration() {
        let config = json!({"amount_max": 100, "currencies": ["EUR"]});
        let run = |input| testing::run::<PaymentValidator>(&config, &input);
        let good = json!({"amount": 12.5, "currency": "EUR", "card": "4111111111111111"});
        assert_eq!(run(good), Ok(json!({"valid": true, "reasons": []})));
        let bad = json!({"amount": 101, "currency": "USD", "card": "1"});
        let reasons =
            ["amount is above the limit", "currency is not accepted", "card number is wrong"];
        assert_eq!(run(bad), Ok(json!({"valid": false, "reasons": reasons})));
        assert_eq!(run(json!({})).unwrap_err().code(), "bad_payment");
    }

    #[test]
    fn a_configuration_with_a_slip_is_refused() {
        for wrong in [
            json!({"amount_mx": 1}),
            json!({"amount_max": 0}),
            json!([]),
            json!({"currencies": ["EURO"]}),
        ] {
            assert_eq!(testing::validate::<PaymentValidator>(&wrong), Err(EXPECTED.to_owned()));
        }
        assert_eq!(testing::validate::<PaymentValidator>(&json!(null)), Ok(()));
    }
}
