//! Which tests there are, and what each needs to be able to pass. What they do is in the files that they are named for.

use blackbox::{Need, Test, test};

use crate::{absent, attempts, bad_input, handshake, limits, online, pages, short_lived, woken};

/// All of them. Those that take longest begin first, so that the others run meanwhile.
pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(attempts::who_never_acks_is_closed_woken_and_drained_later),
        test!(attempts::what_is_not_acked_comes_again_until_it_is).needs(Need::Redelivery),
        test!(woken::wakes_of_a_device_keep_their_distance).needs(Need::Wakes),
        test!(online::nobody_acks_for_another).needs(Need::Redelivery),
        test!(online::a_message_sent_while_its_recipient_connects_arrives),
        test!(online::how_long_a_message_takes),
        test!(online::a_message_is_delivered_and_gone_when_acked),
        test!(online::a_body_arrives_as_it_was_written),
        test!(online::every_device_of_a_user_gets_it_and_acks_for_itself),
        test!(online::an_id_that_is_sent_again_is_one_message),
        test!(online::a_newer_connection_displaces_the_older_one),
        test!(online::nobody_sends_in_the_name_of_another),
        test!(online::a_ping_is_answered),
        test!(online::drained_says_when_the_connection_will_be_cut),
        test!(absent::what_a_device_missed_is_drained_when_it_comes_back),
        test!(absent::the_first_device_of_a_user_gets_what_came_before_it),
        test!(absent::a_backlog_is_drained_oldest_first_and_then_said_to_be),
        test!(woken::a_device_that_is_away_is_woken).needs(Need::Wakes),
        test!(woken::a_user_without_a_device_is_woken).needs(Need::Wakes),
        test!(short_lived::an_ephemeral_message_is_for_who_is_connected),
        test!(short_lived::an_expired_message_is_not_drained),
        test!(pages::a_sync_pages_through_what_is_pending),
        test!(pages::a_sync_of_nothing_says_so),
        test!(bad_input::a_bad_frame_is_answered_with_its_code),
        test!(bad_input::a_bad_message_is_refused_alone),
        test!(bad_input::a_bad_ref_does_not_spoil_the_others),
        test!(bad_input::what_a_later_client_may_add_is_ignored),
        test!(handshake::a_token_may_be_in_the_header_or_in_the_query),
        test!(handshake::a_bad_token_is_refused),
        test!(handshake::a_bad_device_is_refused),
        test!(limits::a_frame_over_32_kb_is_closed_with_1009).needs(Need::Closing),
        test!(limits::a_message_over_128_kb_is_closed_with_1009).needs(Need::Closing),
        test!(limits::a_binary_message_is_closed_with_1003).needs(Need::Closing),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn every_test_has_a_name_of_its_own() {
        let tests = super::tests();
        assert_eq!(tests.iter().map(|test| test.name()).collect::<HashSet<_>>().len(), tests.len());
    }
}
