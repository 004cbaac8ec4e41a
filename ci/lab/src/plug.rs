//! Pulling a device and putting it back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::node::Node;
use crate::tree::Tree;

/// A device and the name it is found under.
#[derive(Debug, Clone)]
pub(crate) struct Plug {
    tree: Arc<Tree>,
    path: PathBuf,
    name: String,
    node: Arc<dyn Node>,
}

impl Plug {
    pub(crate) fn new(tree: &Arc<Tree>, path: PathBuf, name: &str, node: Arc<dyn Node>) -> Self {
        Self {
            tree: Arc::clone(tree),
            path,
            name: name.to_owned(),
            node,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn unplug(&self) {
        self.tree.unplug(&self.name);
    }

    pub(crate) fn replug(&self) {
        self.tree.plug(&self.name, Arc::clone(&self.node));
    }
}
