//! The files that list what there is: modules, API keys, the table of all messages.

use std::collections::BTreeMap;

use super::super::schema::{Kind, Message};
use super::{Api, HEADER, shout, snake};

pub(super) fn data_index(data: &[&Message]) -> String {
    let mut out = format!(
        "{HEADER}//! Messages without an API of their own: headers, and what Kafka keeps in records (metadata, groups, transactions, share\n//! groups, snapshots) or hands from member to member (the consumer protocol).\n\n"
    );
    for message in data {
        let module = snake(&message.name);
        out += &format!("pub mod {module};\n");
    }
    for message in data {
        let module = snake(&message.name);
        out += &format!("pub use {module}::{};\n", message.name);
    }
    out
}

pub(super) fn api_index(apis: &BTreeMap<i16, Api<'_>>) -> String {
    let mut out = format!("{HEADER}//! The list of the APIs' files.\n\n");
    for api in apis.values() {
        out += &format!("#[path = \"{0}.rs\"]\npub mod {0};\n", snake(api.name));
    }
    for api in apis.values() {
        out += &format!("pub use {0}::{{{1}Request, {1}Response}};\n", snake(api.name), api.name);
    }
    out
}

pub(super) fn api_keys(apis: &BTreeMap<i16, Api<'_>>) -> String {
    let mut out = format!("{HEADER}//! The APIs by number.\n\nuse super::ApiKey;\n\nimpl ApiKey {{\n");
    for (key, api) in apis {
        out += &format!("/// Kafka's `{}`.\npub const {}: Self = Self({key});\n", api.name, shout(api.name));
    }
    out +=
        "\n/// Every API that has a message here, in the order of their numbers.\npub const ALL: &'static [Self] = &[";
    out += &apis.values().map(|api| format!("Self::{}", shout(api.name))).collect::<Vec<_>>().join(", ");
    out += "];\n\n/// Kafka's name; `None` for a number that is not known here.\npub const fn name(self) -> Option<&'static str> {\nmatch self.0 {\n";
    for (key, api) in apis {
        out += &format!("{key} => Some({:?}),\n", api.name);
    }
    out += "_ => None,\n}\n}\n\n/// The versions of the request's schema, lowest and highest; a version that Kafka calls unstable is among them.\npub const fn valid_versions(self) -> Option<(i16, i16)> {\nmatch self.0 {\n";
    for (key, api) in apis {
        out += &format!("{key} => Some(({}, {})),\n", api.request.valid.min, api.request.valid.max);
    }
    out += "_ => None,\n}\n}\n\n/// As [`Self::valid_versions`], without a highest version that Kafka calls unstable.\npub const fn stable_versions(self) -> Option<(i16, i16)> {\nmatch self.0 {\n";
    for (key, api) in apis.iter().filter(|(_, api)| api.request.latest_unstable) {
        out += &format!("{key} => Some(({}, {})),\n", api.request.valid.min, api.request.valid.max - 1);
    }
    out += "_ => self.valid_versions(),\n}\n}\n\n/// The first version whose lengths are compact and whose structs end in tagged fields.\npub(crate) const fn first_flexible_version(self) -> Option<i16> {\nmatch self.0 {\n";
    for (key, api) in apis.iter().filter(|(_, api)| !api.request.flexible.is_empty()) {
        out += &format!("{key} => Some({}),\n", api.request.flexible.min);
    }
    out += "_ => None,\n}\n}\n}\n";
    out
}

pub(super) fn all(messages: &BTreeMap<String, Message>) -> String {
    let mut out = format!(
        "{HEADER}//! Every message by name, for tests and tools that walk them all.\n\nuse super::entry::{{MessageEntry, recode}};\n\n/// Every message, ordered by name.\npub const ALL: &[MessageEntry] = &[\n"
    );
    for message in messages.values() {
        let path = match message.kind {
            Kind::Request | Kind::Response => format!("super::{}", message.name),
            Kind::Data => format!("super::data::{}", message.name),
        };
        out += &format!(
            "MessageEntry {{ name: {:?}, min_version: {}, max_version: {}, recode: recode::<{path}> }},\n",
            message.name, message.valid.min, message.valid.max
        );
    }
    out += "];\n";
    out
}
