//! The node as its clients meet it: requests about the node itself are answered here, all others by
//! the core's replica.

use crate::health::Board;
use crate::log;
use api::{ApiError, Code, Request, Response, Route, json};
use engine::{Submission, SubmitResults};
use ingress::Backend;
use replica::Replica;
use runtime::{LocalOneshot, LocalReceiver};
use serde_json::Value;

/// One core's door.
#[derive(Clone)]
pub(crate) struct Door {
    replica: Replica,
    board: Board,
}

impl Door {
    pub(crate) fn new(replica: Replica, board: Board) -> Self {
        Self { replica, board }
    }
}

impl Backend for Door {
    fn request(&self, route: &Route, request: &Request<'_>) -> LocalReceiver<Response> {
        let response = match route {
            Route::Ready => self.board.ready(),
            Route::LogFilter => filter_in_force(),
            Route::PutLogFilter => set_filter(request).unwrap_or_else(Response::from),
            _ => return self.replica.request(route, request),
        };
        let (sender, receiver) = LocalOneshot::new();
        sender.send(response).expect("its receiver is here");
        receiver
    }

    fn submit(&self, submission: &Submission<'_>, done: Box<dyn FnOnce(SubmitResults)>) {
        self.replica.submit(submission, done);
    }

    fn set_connections(&self, count: u64) {
        self.replica.set_connections(count);
    }
}

fn filter_in_force() -> Response {
    let mut body = Vec::new();
    json::object(&mut body, |o| o.text("filter", &log::filter()));
    Response::json(200, body)
}

/// `{"filter":"info,consensus=debug"}`
fn set_filter(request: &Request<'_>) -> Result<Response, ApiError> {
    let bad = |detail: String| {
        ApiError::new(Code::BadRequest, detail)
            .with_hint("send {\"filter\":\"info\"}, or levels per component: info,consensus=debug")
    };
    api::check_json(request.content_type)?;
    let body: Value = serde_json::from_slice(request.body)
        .map_err(|error| ApiError::new(Code::BadJson, format!("the body is not JSON: {error}")))?;
    let fields = body.as_object().filter(|fields| fields.len() == 1);
    let Some(Value::String(filter)) = fields.and_then(|fields| fields.get("filter")) else {
        return Err(bad("the body is no object with `filter`, a text, alone".to_owned()));
    };
    log::set_filter(filter).map_err(|error| bad(error.to_string()))?;
    tracing::info!(filter, "the log's filter was changed");
    Ok(filter_in_force())
}

#[cfg(test)]
mod tests;
