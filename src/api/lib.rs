//! REST as values: routes, requests, answers, errors.
