//! Calls over TCP: many in flight on one connection, answered in any order.
