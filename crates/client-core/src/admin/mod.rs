//! Administrative calls: what to ask and what an answer means. The calls themselves go through [`crate::client::ClientCore::call`].
