//! A mock cluster that gives its clients no rest: every so often leaders move, a node goes down for a while, requests fail. What they write
//! they shall read all the same.
//!
//! ```sh
//! cargo run -p felice-broker --example mock -- 3 200     # nodes, milliseconds between two blows; 0 leaves it alone
//! kcat -b $(…) -P -t orders                              # whatever client
//! ```

use std::time::Duration;

use felice_broker::mock::{ApiKey, ErrorCode, Fault, MockCluster};

/// Topics that the blows are for.
const TOPIC: &str = "orders";
const PARTITIONS: i32 = 4;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let nodes: i32 = arguments.next().as_deref().unwrap_or("3").parse()?;
    let pause: u64 = arguments.next().as_deref().unwrap_or("200").parse()?;
    let cluster = MockCluster::start(nodes)?;
    cluster.with(|c, now| c.create_topic(now, TOPIC, PARTITIONS, 3)).map_err(|code| format!("no topic: {code}"))?;
    println!("ready {}", cluster.bootstrap());
    for blow in 0_i32.. {
        std::thread::sleep(Duration::from_millis(if pause == 0 { 60_000 } else { pause }));
        if pause == 0 {
            continue;
        }
        let node = 1 + blow % nodes;
        // What is refused here has no effect on the next blow.
        let _ = match blow % 6 {
            0 | 3 => cluster.with(|c, now| c.set_leader(now, TOPIC, blow % PARTITIONS, Some(node))),
            1 => {
                let errors =
                    [ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::REQUEST_TIMED_OUT, ErrorCode::NOT_ENOUGH_REPLICAS];
                cluster.with(|c, _| c.push_faults(ApiKey::PRODUCE, errors.map(Fault::Error)));
                Ok(())
            }
            2 => cluster.set_down(node),
            4 => {
                cluster.with(|c, _| c.push_faults(ApiKey::FETCH, [Fault::Disconnect, Fault::None, Fault::Disconnect]));
                Ok(())
            }
            _ => (1..=nodes).try_for_each(|node| cluster.set_up(node)),
        };
    }
    Ok(())
}
