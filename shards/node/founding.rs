//! How a node comes to belong to a cluster, before its log is read.
//!
//! | data directory | options | then |
//! | --- | --- | --- |
//! | belongs to a cluster | | it goes on with it |
//! | new | no `--peer` | it founds one alone, when its identity is made |
//! | new | `--peer`, `--bootstrap` | it founds one with the others that are named |
//! | new | `--peer` | it waits until a member that was told to add it calls |
//!
//! Invariants:
//! - a foundation is durable before this node tells it to anybody, or votes.

use crate::core::Shared;
use crate::identity::{self, Identity};
use crate::process::Host;
use base::Address;
use consensus::{Host as _, Links};
use engine::founding::{Card, FORMATS, Foundation, Founding};
use runtime::{CoreFailure, Listener, LocalNotify, offload};
use std::rc::Rc;

/// The door for the other coordinators, open from now on; nothing for a node without peers.
pub(crate) fn links(shared: &Shared, wake: &Rc<LocalNotify>) -> Result<Option<Links>, CoreFailure> {
    let Some(address) = shared.peer else { return Ok(None) };
    let program = format!("distric-shard {}", shared.shard.program_version);
    let host = Rc::new(Host::new(crate::core::CONSENSUS));
    let (own, wake) = (card(&shared.identity), Rc::clone(wake));
    let links = Links::new(own, program, shared.gossip, host, wake, shared.seed);
    links.listen(Listener::bind(address)?);
    Ok(Some(links))
}

/// What the node belongs to; once it belongs to something.
pub(crate) async fn settle(
    shared: &Shared,
    links: Option<&Links>,
) -> Result<Foundation, CoreFailure> {
    let identity = &shared.identity;
    if let Some(foundation) = &identity.foundation {
        return Ok(foundation.clone());
    }
    let links = links.ok_or("a node without peers has founded its cluster")?;
    let host = Host::new(crate::core::CONSENSUS);
    shared.board.say_waiting(runtime::now().wall);
    let foundation = if shared.settings.bootstrap.is_empty() {
        let (node, address) = (identity.node, place(shared));
        host.note(&format!(
            "this data directory belongs to no cluster: waiting to be added, by `distric-admin \
             --server http://MEMBER nodes add {node} {address}`"
        ));
        links.welcomed().await
    } else {
        let listed = shared.settings.bootstrap.clone();
        let nodes: Vec<String> = listed.keys().map(ToString::to_string).collect();
        let founding = Founding::new(card(identity), listed, identity::random()?)?;
        host.note(&format!("founding a cluster of the nodes {}", nodes.join(", ")));
        links.founded(founding).await
    };
    let kept = Identity { foundation: Some(foundation.clone()), ..identity.clone() };
    let directory = shared.directory.clone();
    offload(move || identity::keep(&directory, &kept))?.await?;
    host.note(&format!("this node belongs to cluster {:016x}", foundation.cluster));
    Ok(foundation)
}

/// Where the others reach this node, as far as it knows: where it listens; unless that is every address
/// of the machine, or the list has a name for the same port.
pub(crate) fn own_address(shared: &Shared) -> Option<Address> {
    let listed = shared.settings.bootstrap.get(&shared.identity.node).cloned();
    let peer = shared.peer?;
    let is_a_name =
        |listed: &Address| listed.socket_address().is_none() && listed.port() == peer.port();
    if peer.ip().is_unspecified() || listed.as_ref().is_some_and(is_a_name) {
        return listed;
    }
    Some(Address::from(peer))
}

fn place(shared: &Shared) -> String {
    own_address(shared).map_or_else(|| "ADDRESS".to_owned(), |address| address.to_string())
}

fn card(identity: &Identity) -> Card {
    Card {
        node: identity.node,
        store: identity.store,
        boot: identity.boot,
        cluster: identity.foundation.as_ref().map(|foundation| foundation.cluster),
        to_store: None,
        formats: FORMATS,
    }
}
