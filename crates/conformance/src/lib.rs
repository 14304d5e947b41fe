//! Apache Kafka and foreign clients as judges of Felice.
