//! What a child may read: libraries, plugins, fonts, what the kernel says of the machine. Found by watching children
//! at work (`strace`); the film is not among it, for its bytes come through the socket.

use std::path::{Path, PathBuf};

/// Folders and files; what is not there is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    pub readable: Vec<PathBuf>,
    pub devices: Vec<PathBuf>,
    pub writable: Vec<PathBuf>,
}

const READABLE: [&str; 24] = [
    // libraries, plugins, fonts, character sets
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share",
    "/usr/local/share",
    "/etc/ld.so.cache",
    "/etc/fonts",
    "/var/cache/fontconfig",
    // cryptographic libraries that plugins bring look whether they must be careful
    "/etc/gcrypt",
    "/etc/gnutls",
    "/proc/sys/crypto",
    // of itself no more than libraries ask: its name, its memory's nodes, where what is loaded lies, for a backtrace; nothing
    // of its descriptors, its environment, its memory
    "/proc/self/cmdline",
    "/proc/self/status",
    "/proc/self/maps",
    // cores and memory
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/vm",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/dev/random",
    "/dev/urandom",
];
const DEVICES: [&str; 2] = ["/dev/null", "/dev/zero"];
/// Variables that name a file or a list of folders.
const NAMED_BY: [&str; 6] = [
    "GST_REGISTRY",
    "GST_PLUGIN_PATH_1_0",
    "GST_PLUGIN_PATH",
    "GST_PLUGIN_SYSTEM_PATH_1_0",
    "GST_PLUGIN_SYSTEM_PATH",
    "LD_LIBRARY_PATH",
];

impl Places {
    /// For this process, working in `scratch`: what is usual, what its environment names, and wherever the libraries lie
    /// that it has loaded.
    pub fn of_child(scratch: &Path) -> Self {
        let named = NAMED_BY.into_iter().filter_map(std::env::var_os);
        let named: Vec<PathBuf> = named.flat_map(|list| std::env::split_paths(&list).collect::<Vec<_>>()).collect();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let mut readable: Vec<PathBuf> = READABLE.into_iter().map(PathBuf::from).collect();
        readable.extend(named.into_iter().filter(|path| path.is_absolute()));
        readable.extend(folders_of_libraries(&maps));
        readable.sort_unstable();
        readable.dedup();
        Self { readable, devices: DEVICES.into_iter().map(PathBuf::from).collect(), writable: vec![scratch.to_owned()] }
    }
}

fn folders_of_libraries(maps: &str) -> impl Iterator<Item = PathBuf> + '_ {
    let files = maps.lines().filter_map(|line| line.find('/').map(|at| Path::new(&line[at..])));
    let is_library = |file: &&Path| {
        let name = file.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.ends_with(".so") || name.contains(".so."))
    };
    files.filter(is_library).filter_map(|file| file.parent().map(Path::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_found_wherever_they_lie() {
        let maps = "7f0 r-xp 0 08:01 1  /opt/gst/lib/libgstreamer-1.0.so.0\n7f1 r--p 0 08:01 2  /opt/film.mov\n7f2 rw-p 0 0:0 0\n\
                    7f3 r-xp 0 08:01 3  /nix/store/x y/libc.so";
        let found: Vec<PathBuf> = folders_of_libraries(maps).collect();
        assert_eq!(found, ["/opt/gst/lib", "/nix/store/x y"].map(PathBuf::from));
    }

    #[test]
    fn only_the_scratch_folder_is_written() {
        let places = Places::of_child(Path::new("/var/tmp/scratch"));
        assert_eq!(places.writable, [PathBuf::from("/var/tmp/scratch")]);
        assert!(places.readable.contains(&PathBuf::from("/usr/lib")));
        assert!(places.readable.iter().all(|path| path.is_absolute() && path != Path::new("/")), "{places:?}");
    }
}
