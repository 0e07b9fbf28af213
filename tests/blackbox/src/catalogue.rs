//! Which tests there are, and what each needs to be able to pass. What they do is in the files that they are named for.

use blackbox::{Need, Test, test};

use crate::{
    absent, attachments, attempts, bad_input, bad_requests, groups, handshake, limits, old_clients, online, pages,
    personal, receipts, short_lived, socketless, woken,
};

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
        test!(woken::a_platform_endpoint_of_sns_is_told_and_one_that_is_gone_is_dropped)
            .needs(Need::Http)
            .needs(Need::PlatformEndpoint),
        test!(socketless::a_woken_phone_drains_and_acks_with_two_requests).needs(Need::Http).needs(Need::Wakes),
        test!(socketless::what_is_sent_without_a_socket_arrives_on_one).needs(Need::Http),
        test!(socketless::what_is_pending_is_read_in_pages_and_acked_by_its_own_device_alone).needs(Need::Http),
        test!(socketless::a_device_without_a_socket_is_owed_its_own_copy).needs(Need::Http),
        test!(socketless::a_device_that_is_forgotten_is_closed_and_emptied).needs(Need::Http),
        test!(groups::every_change_of_a_group_is_told).needs(Need::Http),
        test!(groups::a_message_to_a_group_reaches_its_members_and_nobody_else).needs(Need::Http),
        test!(groups::typing_is_for_members_who_are_connected).needs(Need::Http),
        test!(personal::presence_is_shown_by_who_has_opted_in).needs(Need::Http),
        test!(personal::what_is_kept_is_exported_and_erased).needs(Need::Http),
        test!(bad_requests::a_request_without_a_good_token_is_refused).needs(Need::Http),
        test!(bad_requests::a_bad_request_is_answered_with_its_code).needs(Need::Http),
        test!(bad_requests::a_group_has_at_most_1024_members).needs(Need::Http).needs(Need::Crowd),
        test!(receipts::a_sender_who_asks_is_told_of_an_ack_and_of_a_read),
        test!(receipts::the_devices_of_a_user_are_told_of_each_other),
        test!(receipts::nobody_is_told_of_what_was_not_acked),
        test!(attachments::a_file_is_for_its_uploader_and_the_recipients_of_its_message).needs(Need::Http),
        test!(attachments::a_file_is_uploaded_once_as_it_was_announced).needs(Need::Http),
        test!(old_clients::an_old_client_and_a_current_one_talk_to_each_other),
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
