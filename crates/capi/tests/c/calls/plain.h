/* Functions that need no handle: configurations, lists, headers, errors, ids, names of numbers; and NULL, where librdkafka takes it. */
#ifndef PLAIN_H
#define PLAIN_H

static int some_order(const void *a, const void *b, void *opaque) {
    const rd_kafka_topic_partition_t *one = a, *two = b;
    return (one->offset > two->offset) - (one->offset < two->offset);
}

static void do_lists(void) {
    rd_kafka_topic_partition_list_t *list = some_list(), *copy = NULL;
    for (int i = below(8); i > 0; i--)
        switch (below(8)) {
        case 0:
            V(0, rd_kafka_topic_partition_list_add_range(list, some_topic(), below(5) - 2, below(6) - 2));
            break;
        case 1:
            V(0, rd_kafka_topic_partition_list_del(list, some_topic(), some_partition()));
            break;
        case 2:
            V(0, rd_kafka_topic_partition_list_del_by_idx(list, below(6) - 1));
            break;
        case 3:
            if (copy)
                V(0, rd_kafka_topic_partition_list_destroy(copy));
            copy = E(0, rd_kafka_topic_partition_list_copy(list));
            break;
        case 4:
            V(0, rd_kafka_topic_partition_list_set_offset(list, some_topic(), some_partition(), some_offset()));
            break;
        case 5:
            V(0, rd_kafka_topic_partition_list_sort(list, chance(50) ? NULL : some_order, NULL));
            break;
        case 6:
            for (int n = 0; n < list->cnt; n++)
                V(0, rd_kafka_topic_partition_get_leader_epoch(&list->elems[n]));
            break;
        default:
            V(0, rd_kafka_topic_partition_list_find(list, some_topic(), some_partition()));
        }
    V(0, rd_kafka_topic_partition_list_destroy(list));
    if (copy)
        V(0, rd_kafka_topic_partition_list_destroy(copy));
}

static void do_headers(void) {
    rd_kafka_headers_t *headers = some_headers();
    const void *value;
    const char *name;
    size_t size;
    V(0, rd_kafka_header_cnt(headers));
    V(0, rd_kafka_header_get_last(headers, "name", &value, &size));
    V(0, rd_kafka_header_get(headers, (size_t)below(4), "name", &value, &size));
    if (!E(0, rd_kafka_header_get_all(headers, (size_t)below(4), &name, &value, &size)))
        V(0, strlen(name));
    rd_kafka_headers_t *copy = E(0, rd_kafka_headers_copy(headers));
    if (chance(50))
        V(0, rd_kafka_header_remove(headers, "name"));
    V(0, rd_kafka_headers_destroy(headers));
    V(0, rd_kafka_headers_destroy(copy));
}

static void do_conf(void) {
    rd_kafka_conf_t *conf = some_conf();
    char text[64], value[16];
    size_t size = chance(50) ? sizeof value : (size_t)below(4), count;
    const char *const *one = PICK(settings);
    V(0, rd_kafka_conf_get(conf, one[0], chance(80) ? value : NULL, &size));
    const char **dump = E(0, rd_kafka_conf_dump(conf, &count));
    V(0, rd_kafka_conf_dump_free(dump, count));
    V(0, rd_kafka_conf_get_default_topic_conf(conf));
    const char *filter[] = {"acks", "group"};
    rd_kafka_conf_t *copy = E(0, rd_kafka_conf_dup_filter(conf, (size_t)below(3), filter));
    V(0, rd_kafka_conf_set(copy, one[0], NULL, text, sizeof text));
    V(0, rd_kafka_conf_set_ssl_cert(copy, (rd_kafka_cert_type_t)below(4), (rd_kafka_cert_enc_t)below(4), "rubbish", 7, text, sizeof text));
    V(0, rd_kafka_conf_set_ssl_cert(copy, RD_KAFKA_CERT_CA, RD_KAFKA_CERT_ENC_PEM, NULL, 0, NULL, 0));
    V(0, rd_kafka_conf_destroy(copy));
    V(0, rd_kafka_conf_destroy(conf));
    rd_kafka_topic_conf_t *topic = E(0, rd_kafka_topic_conf_new()), *other = E(0, rd_kafka_topic_conf_dup(topic));
    V(0, rd_kafka_topic_conf_set(topic, one[0], one[1], text, (size_t)below(64)));
    size = sizeof value;
    V(0, rd_kafka_topic_conf_get(topic, one[0], value, &size));
    dump = E(0, rd_kafka_topic_conf_dump(topic, &count));
    V(0, rd_kafka_conf_dump_free(dump, count));
    V(0, rd_kafka_topic_conf_destroy(topic));
    V(0, rd_kafka_topic_conf_destroy(other));
}

static void do_small(void) {
    rd_kafka_resp_err_t code = some_error();
    V(0, strlen(rd_kafka_err2str(code)));
    V(0, strlen(rd_kafka_err2name(code)));
    rd_kafka_error_t *error = E(0, rd_kafka_error_new(code, chance(20) ? NULL : "%s: %d", "text", below(9)));
    V(0, rd_kafka_error_code(error));
    V(0, strlen(rd_kafka_error_name(error)));
    V(0, strlen(rd_kafka_error_string(error)));
    V(0, rd_kafka_error_is_fatal(error) + rd_kafka_error_is_retriable(error) + rd_kafka_error_txn_requires_abort(error));
    V(0, rd_kafka_error_destroy(error));
    rd_kafka_Uuid_t *id = E(0, rd_kafka_Uuid_new((int64_t)draw(), (int64_t)draw())), *copy = E(0, rd_kafka_Uuid_copy(id));
    V(0, strlen(rd_kafka_Uuid_base64str(id)));
    V(0, rd_kafka_Uuid_least_significant_bits(copy) ^ rd_kafka_Uuid_most_significant_bits(copy));
    V(0, rd_kafka_Uuid_destroy(id));
    V(0, rd_kafka_Uuid_destroy(copy));
    int number = below(20) - 3;
    V(0, strlen(rd_kafka_consumer_group_state_name((rd_kafka_consumer_group_state_t)number)));
    V(0, strlen(rd_kafka_consumer_group_type_name((rd_kafka_consumer_group_type_t)number)));
    V(0, rd_kafka_consumer_group_state_code(chance(50) ? "Stable" : "none"));
    V(0, rd_kafka_consumer_group_type_code(chance(50) ? "classic" : "none"));
    V(0, strlen(rd_kafka_ConfigSource_name((rd_kafka_ConfigSource_t)number)));
    V(0, strlen(rd_kafka_ResourceType_name((rd_kafka_ResourceType_t)number)));
    V(0, strlen(rd_kafka_ResourcePatternType_name((rd_kafka_ResourcePatternType_t)number)));
    V(0, strlen(rd_kafka_AclOperation_name((rd_kafka_AclOperation_t)number)));
    V(0, strlen(rd_kafka_AclPermissionType_name((rd_kafka_AclPermissionType_t)number)));
    V(0, strlen(rd_kafka_get_debug_contexts()));
    V(0, rd_kafka_last_error());
    V(0, rd_kafka_thread_cnt());
    const struct rd_kafka_err_desc *table;
    size_t count;
    V(0, rd_kafka_get_err_descs(&table, &count));
    rd_kafka_consumer_group_metadata_t *group =
        chance(50) ? E(0, rd_kafka_consumer_group_metadata_new("g"))
                   : E(0, rd_kafka_consumer_group_metadata_new_with_genid("g", number, "member", chance(50) ? NULL : "instance"));
    void *bytes;
    V(0, rd_kafka_error_destroy(rd_kafka_consumer_group_metadata_write(group, &bytes, &count)));
    V(0, rd_kafka_consumer_group_metadata_destroy(group));
    group = NULL;
    if (chance(50) && count)
        ((char *)bytes)[below((int)count)] ^= (char)(1 << below(8));
    error = E(0, rd_kafka_consumer_group_metadata_read(&group, bytes, chance(50) ? count : (size_t)below((int)count + 1)));
    V(0, rd_kafka_error_destroy(error));
    if (!error)
        V(0, rd_kafka_consumer_group_metadata_destroy(group));
    V(0, rd_kafka_mem_free(NULL, bytes));
}

static void do_null(void) {
    V(0, rd_kafka_error_destroy(NULL));
    V(0, rd_kafka_error_code(NULL));
    V(0, rd_kafka_error_name(NULL));
    V(0, rd_kafka_error_string(NULL));
    V(0, rd_kafka_error_is_fatal(NULL));
    V(0, rd_kafka_event_destroy(NULL));
    V(0, rd_kafka_event_type(NULL));
    V(0, rd_kafka_event_name(NULL));
    V(0, rd_kafka_mem_free(NULL, NULL));
    V(0, rd_kafka_mock_cluster_destroy(NULL));
    V(0, rd_kafka_metadata_destroy(NULL));
    V(0, rd_kafka_Uuid_destroy(NULL));
    V(0, rd_kafka_consumer_group_metadata_destroy(NULL));
    V(0, rd_kafka_topic_partition_destroy(NULL));
    V(0, rd_kafka_topic_partition_list_destroy(NULL));
    V(0, rd_kafka_message_destroy(NULL));
    V(0, rd_kafka_queue_destroy(NULL));
    V(0, rd_kafka_topic_destroy(NULL));
    V(0, rd_kafka_destroy(NULL));
    char text[16];
    rd_kafka_conf_t *conf = E(0, rd_kafka_conf_new());
    V(0, rd_kafka_conf_set(conf, NULL, NULL, text, sizeof text));
    V(0, rd_kafka_conf_set(conf, "acks", NULL, NULL, 0));
    V(0, rd_kafka_conf_set_default_topic_conf(conf, NULL));
    V(0, rd_kafka_conf_set_opaque(conf, NULL));
    V(0, rd_kafka_conf_set_dr_msg_cb(conf, NULL));
    V(0, rd_kafka_conf_destroy(conf));
    rd_kafka_conf_dump_free(NULL, 0);
}

#endif
