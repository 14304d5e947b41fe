//! The simulated disk, by itself.

use super::*;

fn disk(seed: u64) -> SimDisk {
    SimDisk::new(Rng::new(seed))
}

#[test]
fn what_is_synced_survives_every_crash_of_the_machine() {
    for seed in 0..50 {
        let disk = disk(seed);
        let (dir, path) = (Path::new("/d"), Path::new("/d/f"));
        disk.create_dir_all(dir).unwrap();
        let file = disk.open(path, OpenMode::Create).unwrap();
        file.write_at(0, b"kept").unwrap();
        file.sync().unwrap();
        disk.sync_dir(dir).unwrap();
        file.write_at(4, b"perhaps").unwrap();
        disk.crash_machine();
        let left = disk.read(path).unwrap();
        assert!(left.starts_with(b"kept"), "{left:?}");
        assert!(file.len().is_err(), "handles die with the machine");
    }
}

#[test]
fn what_is_written_survives_a_crash_of_the_process() {
    let disk = disk(1);
    let path = Path::new("/f");
    disk.open(path, OpenMode::Create).unwrap().write_at(0, b"written").unwrap();
    disk.crash_process();
    assert_eq!(disk.read(path).unwrap(), "written");
}

#[test]
fn what_is_not_synced_is_sometimes_lost_and_sometimes_torn() {
    let (mut lost, mut torn) = (0, 0);
    for seed in 0..100 {
        let disk = disk(seed);
        disk.open(Path::new("/f"), OpenMode::Create).unwrap().write_at(0, &[7; 100]).unwrap();
        disk.crash_machine();
        match disk.read(Path::new("/f")) {
            Err(_) => lost += 1,
            Ok(bytes) if bytes != [7; 100][..] => torn += 1,
            Ok(_) => {}
        }
    }
    assert!(lost > 10 && torn > 10, "{lost} lost, {torn} torn");
}

#[test]
fn a_process_that_stops_in_a_write_leaves_a_part_and_can_do_nothing_more() {
    let disk = disk(3);
    let file = disk.open(Path::new("/f"), OpenMode::Create).unwrap();
    disk.stop_after(1);
    file.write_at(0, &[1; 10]).unwrap();
    assert!(file.write_at(10, &[2; 10]).is_err());
    assert!(disk.is_stopped());
    assert!(disk.open(Path::new("/g"), OpenMode::Create).is_err());
    disk.crash_process();
    let left = disk.read(Path::new("/f")).unwrap();
    assert!(left.len() <= 20 && left.starts_with(&[1; 10]));
}

#[test]
fn what_takes_the_name_of_a_directory_that_was_renamed_keeps_it() {
    for seed in 0..20 {
        let disk = disk(seed);
        let write = |bytes: &[u8]| {
            disk.create_dir_all(Path::new("/data/d")).unwrap();
            let file = disk.open(Path::new("/data/d/f"), OpenMode::Create).unwrap();
            file.write_at(0, bytes).unwrap();
            file.sync().unwrap();
            disk.sync_dir(Path::new("/data/d")).unwrap();
        };
        write(b"old");
        disk.rename(Path::new("/data/d"), Path::new("/data/aside")).unwrap();
        write(b"new");
        disk.sync_dir(Path::new("/data")).unwrap();
        disk.crash_machine();
        assert_eq!(disk.read(Path::new("/data/d/f")).unwrap(), "new");
        assert_eq!(disk.read(Path::new("/data/aside/f")).unwrap(), "old");
    }
}

#[test]
fn a_rename_that_was_synced_stays() {
    for seed in 0..20 {
        let disk = disk(seed);
        disk.create_dir_all(Path::new("/d")).unwrap();
        disk.write_atomic(Path::new("/d/f"), b"1").unwrap();
        disk.write_atomic(Path::new("/d/f"), b"2").unwrap();
        disk.crash_machine();
        assert_eq!(disk.read(Path::new("/d/f")).unwrap(), "2");
    }
}
