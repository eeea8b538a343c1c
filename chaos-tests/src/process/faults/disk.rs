//! Faults of disks: power goes, they fill up, hang, are empty, or hold other bytes than were
//! written. The last is done to one node only: what no single disk can decide is not decided here.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{Evidence, Fault, KILL_LIMIT, PAUSE_LIMIT, RESTART_LIMIT, Scene, Terms};
use crate::process::chance::Chance;
use crate::process::tool;
use crate::process::world::{mount, unmount};

/// Power goes: what was not synced is gone.
#[derive(Debug)]
pub(crate) struct PowerCut {
    nodes: Vec<usize>,
    all: bool,
    cut: u64,
}

impl PowerCut {
    pub(super) fn one(scene: &Scene<'_>) -> Box<dyn Fault> {
        Box::new(Self { nodes: vec![scene.leader], all: false, cut: 0 })
    }

    pub(super) fn all(scene: &Scene<'_>) -> Box<dyn Fault> {
        let nodes = (0..scene.world().nodes.len()).collect();
        Box::new(Self { nodes, all: true, cut: 0 })
    }
}

impl Fault for PowerCut {
    fn terms(&self) -> Terms {
        Terms {
            victims: self.nodes.clone(),
            others_serve: !self.all,
            limit: if self.all { RESTART_LIMIT } else { KILL_LIMIT },
            hold: Duration::from_millis(500),
        }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        let world = scene.world();
        let power = world.settings.preload.with_file_name("power");
        for node in &self.nodes {
            world.node(*node)?.hold_down()?;
        }
        for node in &self.nodes {
            let node = world.node(*node)?;
            tool::words(&[&power.to_string_lossy(), &node.disk.to_string_lossy()])?;
            // A disk without power takes no file.
            self.cut += u64::from(fs::File::create(node.disk.join("probe")).is_err());
            node.signal("KILL")?;
        }
        for node in &self.nodes {
            let node = world.node(*node)?;
            world.kill(node)?;
            unmount(node)?;
        }
        Ok(())
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        let world = scene.world();
        for node in &self.nodes {
            let node = world.node(*node)?;
            mount(node)?;
            node.start(&world.settings)?;
        }
        Ok(Evidence { bites: self.cut, note: "disks refused a write without power".to_owned() })
    }
}

/// Something else fills the disk to the last byte.
#[derive(Debug)]
pub(crate) struct Full {
    node: usize,
    free: u64,
    starts: u32,
}

impl Full {
    pub(super) fn boxed(scene: &Scene<'_>) -> Box<dyn Fault> {
        Box::new(Self { node: scene.victim, free: 0, starts: 0 })
    }
}

impl Fault for Full {
    fn terms(&self) -> Terms {
        Terms {
            victims: vec![self.node],
            others_serve: true,
            limit: PAUSE_LIMIT,
            hold: Duration::from_secs(4),
        }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        let node = scene.world().node(self.node)?;
        self.starts = node.starts()?;
        let ballast = node.disk.join("ballast");
        for _ in 0..3 {
            let free = free_bytes(&node.disk)?;
            if free == 0 {
                break;
            }
            let size = fs::metadata(&ballast).map_or(0, |known| known.len()) + free;
            let path = ballast.to_string_lossy();
            // What is refused was not there any more: the node writes meanwhile.
            let _ = tool::words(&["fallocate", "-l", &size.to_string(), &path]);
        }
        self.free = free_bytes(&node.disk)?;
        Ok(())
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        let node = scene.world().node(self.node)?;
        let left = free_bytes(&node.disk)?;
        fs::remove_file(node.disk.join("ballast"))?;
        let again = node.starts()? - self.starts;
        let note =
            format!("{} then {left} bytes were free; started again {again} times", self.free);
        Ok(Evidence { bites: u64::from(self.free < 64 << 20), note })
    }
}

/// Bytes that are free on the file system of a folder.
fn free_bytes(folder: &Path) -> Result<u64> {
    let path = folder.to_string_lossy();
    let told = tool::words(&["stat", "-f", "-c", "%a %S", &path])?;
    let mut numbers = told.split_whitespace().map(str::parse::<u64>);
    let (blocks, size) = (numbers.next(), numbers.next());
    let blocks = blocks.context("no number of blocks")??;
    Ok(blocks * size.context("no size of blocks")??)
}

/// The disk neither fails nor works.
#[derive(Debug)]
pub(crate) struct Stall {
    node: usize,
    hold: Duration,
    frozen: u64,
}

impl Stall {
    pub(super) fn boxed(scene: &Scene<'_>, chance: &mut Chance) -> Box<dyn Fault> {
        let hold = Duration::from_millis(1_000 + chance.below(3_000));
        Box::new(Self { node: scene.leader, hold, frozen: 0 })
    }
}

impl Fault for Stall {
    fn terms(&self) -> Terms {
        Terms { victims: vec![self.node], others_serve: true, limit: PAUSE_LIMIT, hold: self.hold }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        let node = scene.world().node(self.node)?;
        tool::words(&["fsfreeze", "-f", &node.disk.to_string_lossy()])?;
        self.frozen = 1;
        Ok(())
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        let node = scene.world().node(self.node)?;
        tool::words(&["fsfreeze", "-u", &node.disk.to_string_lossy()])?;
        let note = format!("file system frozen for {} ms", self.hold.as_millis());
        Ok(Evidence { bites: self.frozen, note })
    }
}

/// A node comes back under its name with an empty disk.
#[derive(Debug)]
pub(crate) struct Empty {
    node: usize,
}

impl Empty {
    pub(super) fn boxed(scene: &Scene<'_>) -> Box<dyn Fault> {
        Box::new(Self { node: scene.victim })
    }
}

impl Fault for Empty {
    fn terms(&self) -> Terms {
        Terms {
            victims: vec![self.node],
            others_serve: true,
            limit: RESTART_LIMIT,
            hold: Duration::from_millis(500),
        }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        let world = scene.world();
        let node = world.node(self.node)?;
        world.kill(node)?;
        fs::remove_dir_all(node.data())?;
        Ok(())
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        let world = scene.world();
        world.node(self.node)?.start(&world.settings)?;
        Ok(Evidence { bites: 1, note: "data directory removed".to_owned() })
    }
}

/// Which files are damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Log,
    Block,
    /// A table of the key-value store, which holds what is where.
    Manifest,
    /// What the key-value store begins with: its own manifest, its journal, the name of both.
    Store,
}

impl Part {
    fn is_of(self, path: &Path) -> bool {
        let ending = path.extension().unwrap_or_default();
        let has_folder = |name: &str| path.parent().is_some_and(|parent| parent.ends_with(name));
        match self {
            Self::Log => ending == "log" && has_folder("log"),
            Self::Block => path.components().any(|part| part.as_os_str() == "blocks"),
            Self::Manifest => ending == "sst" && has_folder("db"),
            Self::Store => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let begins = name == "CURRENT" || name.starts_with("MANIFEST-");
                (begins || ending == "log") && has_folder("db")
            }
        }
    }
}

/// A bit that is not what was written, or bytes that are not there any more, while the node is
/// down.
#[derive(Debug)]
pub(crate) struct Damage {
    node: usize,
    part: Part,
    cut: bool,
    dice: u64,
    hit: u64,
    note: String,
    block: Option<(PathBuf, Version)>,
}

/// What tells a file from another one that takes its name later.
type Version = (u64, i64, i64);

fn version(metadata: &fs::Metadata) -> Version {
    (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
}

impl Damage {
    pub(super) fn flip(scene: &Scene<'_>, chance: &mut Chance, part: Part) -> Box<dyn Fault> {
        Self::boxed(scene, chance, part, false)
    }

    pub(super) fn truncate(scene: &Scene<'_>, chance: &mut Chance, part: Part) -> Box<dyn Fault> {
        Self::boxed(scene, chance, part, true)
    }

    fn boxed(scene: &Scene<'_>, chance: &mut Chance, part: Part, cut: bool) -> Box<dyn Fault> {
        let dice = chance.next() >> 1;
        let (hit, note) = (0, String::new());
        Box::new(Self { node: scene.victim, part, cut, dice, hit, note, block: None })
    }
}

impl Fault for Damage {
    fn terms(&self) -> Terms {
        Terms {
            victims: vec![self.node],
            others_serve: true,
            limit: RESTART_LIMIT,
            hold: Duration::from_millis(500),
        }
    }

    fn inject(&mut self, scene: &Scene<'_>) -> Result<()> {
        let world = scene.world();
        let node = world.node(self.node)?;
        world.kill(node)?;
        // What was set aside before is the operator's to look at and to remove.
        let aside = node.data().join("damaged");
        if aside.exists() {
            fs::remove_dir_all(aside)?;
        }
        let mut files = Vec::new();
        collect(&node.data(), &mut files)?;
        // Of an empty file nothing can be damaged.
        let has_bytes = |path: &PathBuf| fs::metadata(path).is_ok_and(|of| of.len() > 0);
        files.retain(|path| self.part.is_of(path) && has_bytes(path));
        files.sort();
        let mut chance = Chance::new(self.dice);
        let Some(path) = chance.pick(&files) else {
            self.note = format!("there is no file of kind {:?}", self.part);
            return Ok(());
        };
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let length = used_length(&file)?;
        let name = path.strip_prefix(&node.disk).unwrap_or(path).display();
        if self.cut {
            let left = length.saturating_sub(1 + chance.below(length / 2));
            file.set_len(left)?;
            self.note = format!("{name} cut from {length} to {left} bytes");
        } else {
            let at = chance.below(length);
            let mut byte = [0];
            file.read_exact_at(&mut byte, at)?;
            let flipped = byte.map(|byte| byte ^ 1 << (at % 8));
            file.write_all_at(&flipped, at)?;
            self.note = format!("a bit of byte {at} of {length} of {name}");
        }
        file.sync_all()?;
        self.hit = u64::from(length > 0);
        if matches!(self.part, Part::Block) {
            self.block = Some((path.clone(), version(&file.metadata()?)));
        }
        Ok(())
    }

    fn has_damage(&self) -> bool {
        self.block.as_ref().is_some_and(|(path, damaged)| {
            fs::metadata(path).is_ok_and(|metadata| version(&metadata) == *damaged)
        })
    }

    fn heal(&mut self, scene: &Scene<'_>) -> Result<Evidence> {
        let world = scene.world();
        world.node(self.node)?.start(&world.settings)?;
        Ok(Evidence { bites: self.hit, note: std::mem::take(&mut self.note) })
    }
}

/// The length of a file without the zeros at its end: a log is allocated ahead.
fn used_length(file: &fs::File) -> Result<u64> {
    let mut end = file.metadata()?.len();
    let mut page = [0; 4096];
    while end > 0 {
        let start = end.saturating_sub(4096);
        let size = usize::try_from(end - start)?;
        let bytes = page.get_mut(..size).context("a page of at most 4096 bytes")?;
        file.read_exact_at(bytes, start)?;
        if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
            return Ok(start + u64::try_from(last)? + 1);
        }
        end = start;
    }
    Ok(0)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
