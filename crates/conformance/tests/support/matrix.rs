//! Which groups are tried: every client with what it speaks.

use std::process::Command;
use std::sync::Mutex;

use felice_conformance::groups::{Program, Run, chain, consumers};
use felice_conformance::{Extent, Failure};

use crate::group::Writer;

/// A group that is to be tried.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// Clients A, B and C with what they speak.
    pub(crate) members: [(Program, &'static str); 3],
    pub(crate) is_static: bool,
    /// Whether the sample has it too.
    pub(crate) sampled: bool,
}

impl Group {
    /// Three members of one client.
    pub(crate) fn of(program: &Program, assignor: &'static str, sampled: bool) -> Self {
        Self::mixed([(program.clone(), assignor), (program.clone(), assignor), (program.clone(), assignor)], sampled)
    }

    pub(crate) fn mixed(members: [(Program, &'static str); 3], sampled: bool) -> Self {
        Self { members, is_static: false, sampled }
    }

    pub(crate) fn with_static_members(self) -> Self {
        Self { is_static: true, ..self }
    }

    pub(crate) fn name(&self) -> String {
        let mut programs: Vec<_> = self.members.iter().map(|(program, _)| program.name()).collect();
        programs.dedup();
        let mut assignors: Vec<_> =
            self.members.iter().map(|(_, assignor)| assignor.replace([':', '+'], "-")).collect();
        assignors.dedup();
        let kind = if self.is_static { "-static" } else { "" };
        format!("{}-{}{kind}", programs.join("-"), assignors.join("-"))
    }
}

/// Clients that are not the same in one group, and both protocols in one.
pub(crate) fn mixed() -> Vec<Group> {
    use Program::{C, FranzGo, Java, Python, Sarama};
    vec![
        Group::mixed(
            [(Java, "cooperative-sticky"), (Python, "cooperative-sticky"), (FranzGo, "cooperative-sticky")],
            true,
        ),
        // From the classic protocol to the other and back, while the group lives.
        Group::mixed([(Java, "range"), (Java, "consumer"), (Java, "consumer")], true),
        Group::mixed([(FranzGo, "consumer"), (Java, "range"), (Python, "range")], false),
        Group::mixed([(C, "range"), (FranzGo, "range"), (Java, "range")], false),
        Group::mixed([(Sarama, "roundrobin"), (C, "roundrobin"), (FranzGo, "roundrobin")], false),
        Group::mixed([(FranzGo, "sticky"), (Sarama, "sticky"), (Java, "sticky")], false),
        Group::mixed([(Python, "consumer"), (Java, "consumer"), (FranzGo, "consumer:uniform")], false),
    ]
}

/// Every foreign client with every assignor and protocol that it has. The sample has each client once and each protocol.
pub(crate) fn foreign() -> Vec<Group> {
    use Program::{C, FranzGo, Java, Python, Sarama};
    vec![
        Group::of(&Java, "cooperative-sticky", false),
        Group::of(&Java, "consumer", true),
        Group::of(&Java, "range", false),
        Group::of(&Java, "roundrobin", false),
        Group::of(&Java, "sticky", false),
        Group::of(&Java, "consumer:range", false),
        Group::of(&Java, "range", false).with_static_members(),
        Group::of(&Java, "consumer", false).with_static_members(),
        Group::of(&FranzGo, "sticky", true),
        Group::of(&FranzGo, "consumer:range", false),
        Group::of(&FranzGo, "range", false),
        Group::of(&FranzGo, "roundrobin", false),
        Group::of(&FranzGo, "cooperative-sticky", false),
        Group::of(&FranzGo, "consumer:uniform", false),
        Group::of(&FranzGo, "cooperative-sticky", true).with_static_members(),
        Group::of(&FranzGo, "consumer:uniform", false).with_static_members(),
        Group::of(&Sarama, "roundrobin", true),
        Group::of(&Sarama, "range", false),
        Group::of(&Sarama, "sticky", false),
        Group::of(&Sarama, "cooperative-sticky", false),
        Group::of(&Sarama, "sticky", false).with_static_members(),
        Group::of(&C, "range", true),
        Group::of(&C, "roundrobin", false),
        Group::of(&C, "cooperative-sticky", false),
        Group::of(&C, "roundrobin", false).with_static_members(),
        Group::of(&Python, "cooperative-sticky", false),
        Group::of(&Python, "consumer", true),
        Group::of(&Python, "range", false),
        Group::of(&Python, "roundrobin", false),
        Group::of(&Python, "consumer:range", false),
        Group::of(&Python, "cooperative-sticky", false).with_static_members(),
        Group::of(&Python, "consumer", false).with_static_members(),
    ]
}

/// Our client's member, which is an example of this package.
pub(crate) fn felice_member() -> Program {
    Program::Other(example("felice_member"))
}

/// A program of ours that cargo built beside the tests.
pub(crate) fn example(name: &str) -> std::path::PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is missing: cargo build -p felice-conformance --examples", path.display());
    path
}

/// Our client with every assignor and protocol, alone and with others in one group.
pub(crate) fn ours() -> Vec<Group> {
    use Program::{FranzGo, Java, Python};
    let felice = &felice_member();
    let f = |assignor| (felice.clone(), assignor);
    vec![
        Group::of(felice, "cooperative-sticky", true),
        Group::of(felice, "auto", true),
        Group::of(felice, "range", false),
        Group::of(felice, "roundrobin", false),
        Group::of(felice, "sticky", false),
        Group::of(felice, "consumer:uniform", false),
        Group::of(felice, "consumer:range", false),
        Group::of(felice, "sticky", true).with_static_members(),
        Group::of(felice, "consumer:uniform", false).with_static_members(),
        // Java leads and ours follows, and the other way round: the first member is the leader.
        Group::mixed([(Java, "cooperative-sticky"), f("cooperative-sticky"), (Java, "cooperative-sticky")], true),
        Group::mixed([f("cooperative-sticky"), (Java, "cooperative-sticky"), f("cooperative-sticky")], true),
        Group::mixed([f("range"), (Java, "range"), f("range")], false),
        Group::mixed([(Java, "roundrobin"), f("roundrobin"), (Java, "roundrobin")], false),
        Group::mixed([(Java, "sticky"), f("sticky"), (Java, "sticky")], false),
        Group::mixed([f("sticky"), (Java, "sticky"), f("sticky")], false),
        Group::mixed([(Java, "consumer"), f("consumer"), (Java, "consumer")], false),
        Group::mixed([f("range"), (Java, "consumer"), f("auto")], false),
        Group::mixed([(FranzGo, "cooperative-sticky"), (Python, "cooperative-sticky"), f("cooperative-sticky")], false),
        // From eager to cooperative, as Java's users upgrade.
        Group::mixed(
            [(Java, "cooperative-sticky+range"), f("cooperative-sticky+range"), f("cooperative-sticky")],
            false,
        ),
    ]
}

/// Whether a group's name has in it what `FELICE_CONFORMANCE_GROUP` says.
pub(crate) fn is_asked_for(group: &Group) -> bool {
    let only = std::env::var("FELICE_CONFORMANCE_GROUP").unwrap_or_default();
    group.name().contains(&only)
}

/// Lets all groups live on the broker at `bootstrap`, some at a time, and panics with all that failed.
pub(crate) fn judge(test: &str, bootstrap: &str, extent: Extent, groups: Vec<Group>) {
    let wanted = |g: &Group| (extent == Extent::Full || g.sampled) && is_asked_for(g);
    let queue: Vec<_> = groups.into_iter().filter(wanted).rev().collect();
    let at_a_time = 6.min(queue.len());
    let (queue, failures) = (Mutex::new(queue), Mutex::new(Vec::new()));
    let writer = Writer::new(bootstrap);
    std::thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                while let Some(group) = { queue.lock().unwrap().pop() } {
                    let name = group.name();
                    match live(&writer, bootstrap, &group, extent, None) {
                        Ok(verdict) => eprintln!("{name}: {verdict}"),
                        Err(Failure::Skip(skip)) => skip.announce(&format!("{test}: {name}")),
                        Err(Failure::Failed(error)) => {
                            eprintln!("{name}: FAILED");
                            failures.lock().unwrap().push(format!("{name}: {error:#}"));
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} groups failed\n\n{}", failures.len(), failures.join("\n\n"));
}

/// One group's life.
pub(crate) fn live(
    writer: &Writer,
    bootstrap: &str,
    group: &Group,
    extent: Extent,
    disturb: Option<&dyn Fn() -> anyhow::Result<()>>,
) -> Result<felice_conformance::groups::Verdict, Failure> {
    let name = group.name();
    // Before the topic: a client that the machine lacks leaves nothing behind.
    for (program, _) in &group.members {
        felice_conformance::groups::command::member(program)?;
    }
    let brokers = bootstrap.split(',').count();
    writer.create(&name, i16::try_from(brokers.min(3)).unwrap());
    let run = Run {
        bootstrap,
        name: &name,
        members: group.members.clone(),
        is_static: group.is_static,
        records: 6 * extent.records(),
        produce: &mut |numbers| writer.write(&name, numbers),
        disturb,
    };
    run.judge()
}

/// Chains of franz-go's groups with each balancer: all keys, exactly. Panics with what failed.
pub(crate) fn judge_chains(test: &str, bootstrap: &str, extent: Extent) {
    let (records, balancers): (_, &[&str]) = match extent {
        Extent::Sampled => (20_000, &["cooperative-sticky", "consumer:uniform"]),
        Extent::Full => (500_000, &chain::FRANZ_GO),
    };
    for balancer in balancers {
        let prefix = format!("chain-{}", balancer.replace(':', "-"));
        match chain::franz_go(bootstrap, &prefix, records, balancer) {
            Ok(report) => eprintln!("{balancer}: {report}"),
            Err(Failure::Skip(skip)) => return skip.announce(test),
            Err(Failure::Failed(error)) => panic!("{error:#}"),
        }
    }
}

/// Chains of our client's groups with each balancer. Panics with what failed.
pub(crate) fn judge_our_chains(bootstrap: &str, extent: Extent) {
    let (records, balancers): (_, &[&str]) = match extent {
        Extent::Sampled => (10_000, &["cooperative-sticky", "consumer:uniform"]),
        Extent::Full => (500_000, &chain::FRANZ_GO),
    };
    for balancer in balancers {
        let prefix = format!("our-chain-{}", balancer.replace(':', "-"));
        match chain::judge(Command::new(example("felice_chain")), bootstrap, &prefix, records, balancer) {
            Ok(report) => eprintln!("{balancer}: {report}"),
            Err(failure) => panic!("{failure}"),
        }
    }
}

/// What else confluent-kafka's consumer does in a group, in both protocols. Panics with what failed.
pub(crate) fn judge_consumers(test: &str, bootstrap: &str) {
    for protocol in ["classic", "consumer"] {
        match consumers::judge(bootstrap, "consumers", protocol) {
            Ok(report) => eprintln!("{}: {}", report.client, report.checks.join(" ")),
            Err(Failure::Skip(skip)) => return skip.announce(test),
            Err(Failure::Failed(error)) => panic!("{error:#}"),
        }
    }
}
