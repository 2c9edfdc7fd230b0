use super::*;

#[test]
fn a_number_in_an_image_names_the_status_that_wrote_it() {
    for (number, status) in (0..).zip(TaskStatus::ALL) {
        assert_eq!(status as u8, number);
        assert_eq!(TaskStatus::from_number(number), Some(status));
    }
    assert_eq!(TaskStatus::from_number(8), None);
    for (number, status) in (0..).zip(InstanceStatus::ALL) {
        assert_eq!(status as u8, number);
        assert_eq!(InstanceStatus::from_number(number), Some(status));
    }
    assert_eq!(InstanceStatus::from_number(5), None);
}
