//! Which cases there are, and what each needs to be able to pass. What they do is in the files that they are named for.

use blackbox::{Need, Test, test};

use crate::{autopush, mongooseim};

/// All of them. Those that take longest begin first, so that the others run meanwhile.
pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(mongooseim::what_a_server_that_gave_up_had_posted_is_drained),
        test!(autopush::what_expired_is_not_drained),
        test!(autopush::of_many_only_what_did_not_expire_is_drained),
        test!(autopush::what_expired_holds_up_nothing_around_it),
        test!(mongooseim::what_is_more_than_a_page_is_drained_whole),
        test!(mongooseim::what_went_to_a_dead_connection_is_drained_after_it_was_given_up).needs(Need::Wakes),
        test!(autopush::what_was_drained_and_not_acked_is_drained_again),
        test!(autopush::what_was_posted_and_not_acked_is_drained),
        test!(autopush::several_that_were_not_acked_are_all_drained_again),
        test!(autopush::an_ack_of_one_leaves_the_other),
        test!(autopush::acks_of_both_leave_nothing),
        test!(autopush::an_ephemeral_message_reaches_who_is_connected),
        test!(autopush::an_ephemeral_message_does_not_wait_for_who_is_not),
        test!(mongooseim::what_was_posted_before_an_orderly_end_is_drained),
        test!(mongooseim::what_was_posted_to_connections_that_closed_is_drained_on_each_device),
        test!(mongooseim::what_was_posted_to_a_displaced_connection_is_drained_on_its_successor),
        test!(mongooseim::messages_are_in_their_order_whichever_connection_they_come_to),
        test!(mongooseim::acks_of_more_than_was_posted_delete_nothing_else),
        test!(mongooseim::any_number_may_be_unacked),
        test!(mongooseim::a_cursor_outlives_its_envelope),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn every_case_has_a_name_of_its_own() {
        let tests = super::tests();
        assert_eq!(tests.iter().map(|test| test.name()).collect::<HashSet<_>>().len(), tests.len());
    }
}
