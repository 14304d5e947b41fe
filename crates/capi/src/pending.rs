//! Names that librdkafka exports and that are not built yet: programs that link to them start, and calls are answered by "unsupported". Whoever builds
//! one takes it out here.

use std::ffi::{c_char, c_void};

use crate::types::RespErr;

macro_rules! answer {
    ($type:ty, $value:expr; $($name:ident)*) => {
        $(
            /// Not built yet.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name() -> $type {
                $value
            }
        )*
    };
}

// They do nothing.
answer! {
    (), ();
    rd_kafka_AclBinding_destroy
    rd_kafka_AclBinding_destroy_array
    rd_kafka_AdminOptions_destroy
    rd_kafka_AdminOptions_set_opaque
    rd_kafka_AlterConfigs
    rd_kafka_AlterConsumerGroupOffsets
    rd_kafka_AlterConsumerGroupOffsets_destroy
    rd_kafka_AlterConsumerGroupOffsets_destroy_array
    rd_kafka_AlterUserScramCredentials
    rd_kafka_ConfigResource_destroy
    rd_kafka_ConfigResource_destroy_array
    rd_kafka_CreateAcls
    rd_kafka_CreatePartitions
    rd_kafka_CreateTopics
    rd_kafka_DeleteAcls
    rd_kafka_DeleteConsumerGroupOffsets
    rd_kafka_DeleteConsumerGroupOffsets_destroy
    rd_kafka_DeleteConsumerGroupOffsets_destroy_array
    rd_kafka_DeleteGroup_destroy
    rd_kafka_DeleteGroup_destroy_array
    rd_kafka_DeleteGroups
    rd_kafka_DeleteRecords
    rd_kafka_DeleteRecords_destroy
    rd_kafka_DeleteRecords_destroy_array
    rd_kafka_DeleteTopic_destroy
    rd_kafka_DeleteTopic_destroy_array
    rd_kafka_DeleteTopics
    rd_kafka_DescribeAcls
    rd_kafka_DescribeCluster
    rd_kafka_DescribeConfigs
    rd_kafka_DescribeConsumerGroups
    rd_kafka_DescribeTopics
    rd_kafka_DescribeUserScramCredentials
    rd_kafka_ElectLeaders
    rd_kafka_ElectLeaders_destroy
    rd_kafka_IncrementalAlterConfigs
    rd_kafka_ListConsumerGroupOffsets
    rd_kafka_ListConsumerGroupOffsets_destroy
    rd_kafka_ListConsumerGroupOffsets_destroy_array
    rd_kafka_ListConsumerGroups
    rd_kafka_ListOffsets
    rd_kafka_NewPartitions_destroy
    rd_kafka_NewPartitions_destroy_array
    rd_kafka_NewTopic_destroy
    rd_kafka_NewTopic_destroy_array
    rd_kafka_TopicCollection_destroy
    rd_kafka_UserScramCredentialAlteration_destroy
    rd_kafka_UserScramCredentialAlteration_destroy_array
    rd_kafka_dump
    rd_kafka_messages_destroy
    rd_kafka_mock_sharegroup_set_auto_offset_reset
    rd_kafka_mock_sharegroup_set_heartbeat_interval
    rd_kafka_mock_sharegroup_set_isolation_level
    rd_kafka_mock_sharegroup_set_max_delivery_attempts
    rd_kafka_mock_sharegroup_set_max_fetch_sessions
    rd_kafka_mock_sharegroup_set_max_record_locks
    rd_kafka_mock_sharegroup_set_max_size
    rd_kafka_mock_sharegroup_set_record_lock_duration
    rd_kafka_mock_sharegroup_set_session_timeout
    rd_kafka_mock_sharegroup_target_assignment
    rd_kafka_share_partition_offsets_list_destroy
}

// They answer NULL.
answer! {
    *mut c_void, std::ptr::null_mut();
    rd_kafka_AclBindingFilter_new
    rd_kafka_AclBinding_error
    rd_kafka_AclBinding_new
    rd_kafka_AdminOptions_new
    rd_kafka_AlterConfigs_result_resources
    rd_kafka_AlterConsumerGroupOffsets_new
    rd_kafka_AlterConsumerGroupOffsets_result_groups
    rd_kafka_AlterUserScramCredentials_result_response_error
    rd_kafka_AlterUserScramCredentials_result_responses
    rd_kafka_ConfigEntry_synonyms
    rd_kafka_ConfigResource_configs
    rd_kafka_ConfigResource_new
    rd_kafka_ConsumerGroupDescription_authorized_operations
    rd_kafka_ConsumerGroupDescription_coordinator
    rd_kafka_ConsumerGroupDescription_error
    rd_kafka_ConsumerGroupDescription_member
    rd_kafka_CreateAcls_result_acls
    rd_kafka_CreatePartitions_result_topics
    rd_kafka_CreateTopics_result_topics
    rd_kafka_DeleteAcls_result_response_error
    rd_kafka_DeleteAcls_result_response_matching_acls
    rd_kafka_DeleteAcls_result_responses
    rd_kafka_DeleteConsumerGroupOffsets_new
    rd_kafka_DeleteConsumerGroupOffsets_result_groups
    rd_kafka_DeleteGroup_new
    rd_kafka_DeleteGroups_result_groups
    rd_kafka_DeleteRecords_new
    rd_kafka_DeleteRecords_result_offsets
    rd_kafka_DeleteTopic_new
    rd_kafka_DeleteTopics_result_topics
    rd_kafka_DescribeAcls_result_acls
    rd_kafka_DescribeCluster_result_authorized_operations
    rd_kafka_DescribeCluster_result_controller
    rd_kafka_DescribeCluster_result_nodes
    rd_kafka_DescribeConfigs_result_resources
    rd_kafka_DescribeConsumerGroups_result_groups
    rd_kafka_DescribeTopics_result_topics
    rd_kafka_DescribeUserScramCredentials_result_descriptions
    rd_kafka_ElectLeaders_new
    rd_kafka_ElectLeaders_result_partitions
    rd_kafka_IncrementalAlterConfigs_result_resources
    rd_kafka_ListConsumerGroupOffsets_new
    rd_kafka_ListConsumerGroupOffsets_result_groups
    rd_kafka_ListConsumerGroups_result_errors
    rd_kafka_ListConsumerGroups_result_valid
    rd_kafka_ListOffsetsResultInfo_topic_partition
    rd_kafka_ListOffsets_result_infos
    rd_kafka_MemberAssignment_partitions
    rd_kafka_MemberDescription_assignment
    rd_kafka_MemberDescription_target_assignment
    rd_kafka_NewPartitions_new
    rd_kafka_NewTopic_new
    rd_kafka_TopicCollection_of_topic_names
    rd_kafka_TopicDescription_authorized_operations
    rd_kafka_TopicDescription_error
    rd_kafka_TopicDescription_partitions
    rd_kafka_TopicDescription_topic_id
    rd_kafka_TopicPartitionInfo_isr
    rd_kafka_TopicPartitionInfo_leader
    rd_kafka_TopicPartitionInfo_replicas
    rd_kafka_UserScramCredentialDeletion_new
    rd_kafka_UserScramCredentialUpsertion_new
    rd_kafka_UserScramCredentialsDescription_error
    rd_kafka_UserScramCredentialsDescription_scramcredentialinfo
    rd_kafka_acl_result_error
    rd_kafka_event_AlterConfigs_result
    rd_kafka_event_AlterConsumerGroupOffsets_result
    rd_kafka_event_AlterUserScramCredentials_result
    rd_kafka_event_CreateAcls_result
    rd_kafka_event_CreatePartitions_result
    rd_kafka_event_CreateTopics_result
    rd_kafka_event_DeleteAcls_result
    rd_kafka_event_DeleteConsumerGroupOffsets_result
    rd_kafka_event_DeleteGroups_result
    rd_kafka_event_DeleteRecords_result
    rd_kafka_event_DeleteTopics_result
    rd_kafka_event_DescribeAcls_result
    rd_kafka_event_DescribeCluster_result
    rd_kafka_event_DescribeConfigs_result
    rd_kafka_event_DescribeConsumerGroups_result
    rd_kafka_event_DescribeTopics_result
    rd_kafka_event_DescribeUserScramCredentials_result
    rd_kafka_event_ElectLeaders_result
    rd_kafka_event_IncrementalAlterConfigs_result
    rd_kafka_event_ListConsumerGroupOffsets_result
    rd_kafka_event_ListConsumerGroups_result
    rd_kafka_event_ListOffsets_result
    rd_kafka_group_result_error
    rd_kafka_group_result_partitions
    rd_kafka_messages_get
    rd_kafka_share_consumer_new
    rd_kafka_share_partition_offsets_list_get
    rd_kafka_share_partition_offsets_offsets
    rd_kafka_share_partition_offsets_partition
    rd_kafka_share_queue_get_sasl
    rd_kafka_topic_partition_result_error
    rd_kafka_topic_partition_result_partition
}

// They answer 0.
answer! {
    usize, 0;
    rd_kafka_AclBinding_operation
    rd_kafka_AclBinding_permission_type
    rd_kafka_AclBinding_resource_pattern_type
    rd_kafka_AclBinding_restype
    rd_kafka_ConfigEntry_is_default
    rd_kafka_ConfigEntry_is_read_only
    rd_kafka_ConfigEntry_is_sensitive
    rd_kafka_ConfigEntry_is_synonym
    rd_kafka_ConfigEntry_source
    rd_kafka_ConfigResource_type
    rd_kafka_ConsumerGroupDescription_is_simple_consumer_group
    rd_kafka_ConsumerGroupDescription_member_count
    rd_kafka_ConsumerGroupDescription_state
    rd_kafka_ConsumerGroupDescription_type
    rd_kafka_ConsumerGroupListing_is_simple_consumer_group
    rd_kafka_ConsumerGroupListing_state
    rd_kafka_ConsumerGroupListing_type
    rd_kafka_ListOffsetsResultInfo_timestamp
    rd_kafka_Node_id
    rd_kafka_Node_port
    rd_kafka_ScramCredentialInfo_iterations
    rd_kafka_ScramCredentialInfo_mechanism
    rd_kafka_TopicDescription_is_internal
    rd_kafka_TopicPartitionInfo_partition
    rd_kafka_UserScramCredentialsDescription_scramcredentialinfo_count
    rd_kafka_consumer_group_state_code
    rd_kafka_consumer_group_type_code
    rd_kafka_messages_count
    rd_kafka_share_consumer_closed
    rd_kafka_share_partition_offsets_list_count
    rd_kafka_share_partition_offsets_offsets_cnt
}

// They answer `_UNSUPPORTED_FEATURE`.
answer! {
    RespErr, RespErr::UNSUPPORTED_FEATURE;
    rd_kafka_AdminOptions_set_broker
    rd_kafka_AdminOptions_set_operation_timeout
    rd_kafka_AdminOptions_set_request_timeout
    rd_kafka_AdminOptions_set_validate_only
    rd_kafka_ConfigResource_error
    rd_kafka_ConfigResource_set_config
    rd_kafka_NewPartitions_set_replica_assignment
    rd_kafka_NewTopic_set_config
    rd_kafka_NewTopic_set_replica_assignment
    rd_kafka_mock_sharegroup_get_member_ids
    rd_kafka_share_acknowledge
    rd_kafka_share_acknowledge_offset
    rd_kafka_share_acknowledge_type
    rd_kafka_share_oauthbearer_set_token
    rd_kafka_share_oauthbearer_set_token_failure
    rd_kafka_share_subscribe
    rd_kafka_share_subscription
    rd_kafka_share_unsubscribe
    rd_kafka_topic_result_error
}

// They answer an error object.
answer! {
    *mut c_void, std::ptr::null_mut();
    rd_kafka_AdminOptions_set_include_authorized_operations
    rd_kafka_AdminOptions_set_isolation_level
    rd_kafka_AdminOptions_set_match_consumer_group_states
    rd_kafka_AdminOptions_set_match_consumer_group_types
    rd_kafka_AdminOptions_set_require_stable_offsets
    rd_kafka_ConfigResource_add_incremental_config
    rd_kafka_abort_transaction
    rd_kafka_begin_transaction
    rd_kafka_commit_transaction
    rd_kafka_init_transactions
    rd_kafka_send_offsets_to_transaction
    rd_kafka_share_commit_async
    rd_kafka_share_commit_sync
    rd_kafka_share_consumer_close
    rd_kafka_share_consumer_close_queue
    rd_kafka_share_destroy
    rd_kafka_share_destroy_flags
    rd_kafka_share_poll
    rd_kafka_share_sasl_background_callbacks_enable
    rd_kafka_share_sasl_set_credentials
    rd_kafka_share_set_acknowledgement_commit_cb
    rd_kafka_share_set_log_queue
}

// They answer an empty text.
answer! {
    *const c_char, c"".as_ptr();
    rd_kafka_AclBinding_host
    rd_kafka_AclBinding_name
    rd_kafka_AclBinding_principal
    rd_kafka_AclOperation_name
    rd_kafka_AclPermissionType_name
    rd_kafka_AlterUserScramCredentials_result_response_user
    rd_kafka_ConfigEntry_name
    rd_kafka_ConfigEntry_value
    rd_kafka_ConfigResource_error_string
    rd_kafka_ConfigResource_name
    rd_kafka_ConfigSource_name
    rd_kafka_ConsumerGroupDescription_group_id
    rd_kafka_ConsumerGroupDescription_partition_assignor
    rd_kafka_ConsumerGroupListing_group_id
    rd_kafka_DescribeCluster_result_cluster_id
    rd_kafka_MemberDescription_client_id
    rd_kafka_MemberDescription_consumer_id
    rd_kafka_MemberDescription_group_instance_id
    rd_kafka_MemberDescription_host
    rd_kafka_Node_host
    rd_kafka_Node_rack
    rd_kafka_ResourcePatternType_name
    rd_kafka_ResourceType_name
    rd_kafka_TopicDescription_name
    rd_kafka_UserScramCredentialsDescription_user
    rd_kafka_consumer_group_state_name
    rd_kafka_consumer_group_type_name
    rd_kafka_group_result_name
    rd_kafka_topic_result_error_string
    rd_kafka_topic_result_name
}
