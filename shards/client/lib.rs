//! A client of a node's binary protocol, over plain sockets.
