//! Which nodes exist now, and which existed: an open file outlives its name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use nix::errno::Errno;

use crate::lock::lock;
use crate::node::Node;
use crate::wire::ROOT;

/// One number of the file system. A device that comes back gets a new one, as it gets a new `struct device`: files that
/// were open before stay dead.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    parent: u64,
    /// `None` once the device has been pulled.
    name: Option<String>,
    pub(crate) node: Option<Arc<dyn Node>>,
    pub(crate) denied: bool,
}

impl Entry {
    pub(crate) fn gone(&self) -> bool {
        self.name.is_none()
    }
}

#[derive(Debug)]
struct State {
    entries: BTreeMap<u64, Entry>,
    next: u64,
}

/// The names below the mount point.
#[derive(Debug)]
pub(crate) struct Tree(Mutex<State>);

impl Tree {
    pub(crate) fn new() -> Self {
        let root = Entry {
            parent: ROOT,
            name: Some(String::new()),
            node: None,
            denied: false,
        };
        Self(Mutex::new(State {
            entries: BTreeMap::from([(ROOT, root)]),
            next: ROOT + 1,
        }))
    }

    pub(crate) fn entry(&self, nodeid: u64) -> Result<Entry, Errno> {
        lock(&self.0).entries.get(&nodeid).cloned().ok_or(Errno::ENOENT)
    }

    /// The number of `name` in the folder `parent`.
    pub(crate) fn lookup(&self, parent: u64, name: &str) -> Result<u64, Errno> {
        lock(&self.0).find(parent, name).ok_or(Errno::ENOENT)
    }

    /// Number, name and "is a folder" of all in the folder `parent`.
    pub(crate) fn list(&self, parent: u64) -> Vec<(u64, String, bool)> {
        lock(&self.0)
            .entries
            .iter()
            .filter(|(nodeid, entry)| entry.parent == parent && **nodeid != ROOT)
            .filter_map(|(nodeid, entry)| Some((*nodeid, entry.name.clone()?, entry.node.is_none())))
            .collect()
    }

    /// All devices, the pulled ones too.
    pub(crate) fn nodes(&self) -> Vec<Arc<dyn Node>> {
        lock(&self.0)
            .entries
            .values()
            .filter_map(|entry| entry.node.clone())
            .collect()
    }

    /// Puts a device at `path`; missing folders are made. A device that is there already is pulled first.
    pub(crate) fn plug(&self, path: &str, node: Arc<dyn Node>) {
        self.unplug(path);
        let nodeid = {
            let mut state = lock(&self.0);
            let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
            let mut parent = ROOT;
            for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
                parent = match state.find(parent, folder) {
                    Some(nodeid) => nodeid,
                    None => state.insert(parent, folder, None),
                };
            }
            // Under the lock: nobody may find a node that does not know its number.
            let nodeid = state.next;
            node.plugged(nodeid);
            state.insert(parent, name, Some(node))
        };
        debug_assert!(nodeid > ROOT);
    }

    /// Pulls what is at `path`: a device, or a folder with all in it.
    pub(crate) fn unplug(&self, path: &str) {
        let mut pulled = Vec::new();
        {
            let mut state = lock(&self.0);
            let mut nodeid = ROOT;
            for name in path.split('/') {
                match state.find(nodeid, name) {
                    Some(found) => nodeid = found,
                    None => return,
                }
            }
            state.pull(nodeid, &mut pulled);
        }
        for node in pulled {
            node.unplugged();
        }
    }

    /// Refuses, or allows again, to open what is at `path` (`EACCES`).
    pub(crate) fn deny(&self, path: &str, denied: bool) {
        let mut state = lock(&self.0);
        let nodeid = path.split('/').try_fold(ROOT, |parent, name| state.find(parent, name));
        if let Some(entry) = nodeid.and_then(|nodeid| state.entries.get_mut(&nodeid)) {
            entry.denied = denied;
        }
    }
}

impl State {
    fn find(&self, parent: u64, name: &str) -> Option<u64> {
        self.entries
            .iter()
            .find(|(_, entry)| entry.parent == parent && entry.name.as_deref() == Some(name))
            .map(|(nodeid, _)| *nodeid)
    }

    fn insert(&mut self, parent: u64, name: &str, node: Option<Arc<dyn Node>>) -> u64 {
        let nodeid = self.next;
        self.next += 1;
        let entry = Entry {
            parent,
            name: Some(name.to_owned()),
            node,
            denied: false,
        };
        self.entries.insert(nodeid, entry);
        nodeid
    }

    fn pull(&mut self, nodeid: u64, pulled: &mut Vec<Arc<dyn Node>>) {
        let inside: Vec<u64> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.parent == nodeid && !entry.gone())
            .map(|(inside, _)| *inside)
            .collect();
        for inside in inside {
            self.pull(inside, pulled);
        }
        if let Some(entry) = self.entries.get_mut(&nodeid) {
            entry.name = None;
            pulled.extend(entry.node.clone());
        }
    }
}
