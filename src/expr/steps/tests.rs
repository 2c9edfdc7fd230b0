use super::Steps;
use crate::limits::STEPS_MAX;
use crate::{EvalError, Names, Template, Tree, Value};

fn tree(text: &str) -> Tree {
    Tree::map([("a", Tree::text(text).unwrap())])
}

/// A list of a thousand: `l.all(…)` of it takes a few thousand steps, one in another a few million.
fn thousand() -> Value {
    Value::list((0..1_000_i64).map(Value::from))
}

#[test]
fn evaluations_take_together_what_each_takes() {
    let list = thousand();
    let roots = [("l", &list)];
    let scope = Names(&roots);
    let (tree, template) = (tree("${ l.all(a, a >= 0) }"), Template::parse("${ l[0] }").unwrap());
    let mut steps = Steps::new(100_000);
    assert_eq!(tree.evaluate_paid(&scope, &mut steps), tree.evaluate(&scope));
    let of_tree = 100_000 - steps.left();
    assert_eq!(template.evaluate_paid(&scope, &mut steps), template.evaluate(&scope));
    let of_both = 100_000 - steps.left();
    assert!(of_tree > 1_000 && of_both > of_tree, "{of_tree}, {of_both}");

    // As much as it takes is enough, and one less is not.
    let mut enough = Steps::new(of_both);
    assert!(tree.evaluate_paid(&scope, &mut enough).is_ok());
    assert!(template.evaluate_paid(&scope, &mut enough).is_ok());
    assert_eq!(enough.left(), 0);
    let too_many = EvalError::TooManyStepsTogether { steps_max: of_both - 1 };
    let mut less = Steps::new(of_both - 1);
    assert!(tree.evaluate_paid(&scope, &mut less).is_ok());
    assert_eq!(template.evaluate_paid(&scope, &mut less), Err(too_many));
}

#[test]
fn what_does_not_fit_takes_all_that_is_left_and_nothing_absorbs_that() {
    let list = thousand();
    let roots = [("l", &list)];
    let scope = Names(&roots);
    let mut steps = Steps::new(2_000);
    let together = || Err(EvalError::TooManyStepsTogether { steps_max: 2_000 });
    assert_eq!(tree("${ l.all(a, a >= 0) || true }").evaluate_paid(&scope, &mut steps), together());
    assert_eq!(steps.left(), 0);
    assert_eq!(tree("${ 1 + size(l) }").evaluate_paid(&scope, &mut steps), together());
    assert_eq!(steps.spend(1), together().map(|_: Value| ()));
    assert_eq!(steps.spend(0), Ok(()));
}

#[test]
fn each_evaluation_has_its_own_bound_as_before() {
    let list = thousand();
    let roots = [("l", &list)];
    let scope = Names(&roots);
    let endless = tree("${ l.all(a, l.all(b, a + b >= 0)) }");
    let mut steps = Steps::new(2 * STEPS_MAX);
    assert_eq!(endless.evaluate_paid(&scope, &mut steps), Err(EvalError::TooManySteps));
    assert_eq!(steps.left(), STEPS_MAX);
    assert_eq!(endless.evaluate_paid(&scope, &mut steps), Err(EvalError::TooManySteps));
    assert_eq!(steps.left(), 0);
    // Another failure costs what was done until then.
    let mut steps = Steps::new(100);
    assert!(tree("${ l[1000] }").evaluate_paid(&scope, &mut steps).is_err());
    assert!((1..100).contains(&steps.left()));
}

#[test]
fn other_work_is_paid_from_the_same_steps() {
    let mut steps = Steps::new(10);
    assert_eq!((steps.spend(4), steps.left()), (Ok(()), 6));
    let together = Err(EvalError::TooManyStepsTogether { steps_max: 10 });
    assert_eq!((steps.spend(7), steps.left()), (together.clone(), 0));
    assert_eq!(Steps::new(10).spend(usize::MAX), together);
}
