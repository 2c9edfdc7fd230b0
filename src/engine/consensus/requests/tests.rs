use super::*;

#[test]
fn why_the_lead_stays_is_told_by_a_code_that_says_what_to_do() {
    let rows = [
        (TransferError::NotLeader, Code::NoLeader, "does not lead"),
        (TransferError::Nobody, Code::WrongState, "there is no other voter"),
        (TransferError::NoVoter { to: NodeId(7) }, Code::WrongState, "node 7 is no other voter"),
    ];
    for (error, code, part) in rows {
        let told = not_handed_over(&error);
        assert_eq!((told.code, told.detail.contains(part)), (code, true), "{told}");
    }
}
