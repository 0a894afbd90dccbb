"""Debian systems as they are right after their installation, each with its own
systemd as process 1, in namespaces of this machine: what an admin types is
typed there. They share one bridge, which nothing leaves; packages come by the
network of this machine. REEVE_FRESH_SYSTEM=DIR takes what debootstrap made
there before."""
import os
import shutil
import signal
import subprocess
import sys
import urllib.request

import cell as cells
from hosts import Hosts, ip, wait_until
from hosts import why_not as why_no_hosts

NEEDED = ("debootstrap", "cpack", "dpkg-deb", "unshare", "nsenter")
CODENAME = "VERSION_CODENAME="
# What a minimal installation has beyond debootstrap's: an init.
INIT = "systemd-sysv,dbus,adduser"
INSTALL_S = 900
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NAMESPACES = ("--mount", "--uts", "--ipc", "--pid", "--cgroup")

# $1: the tree; $2: its name; then lines of "type options directory", of the
# control groups. Ends as systemd, in a root of its own.
BOOT = r"""set -e
root=$1 name=$2
shift 2
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount -t sysfs sysfs sys
for line in "$@"; do
  set -- $line
  [ "$3" = . ] || mountpoint -q sys/fs/cgroup ||
    mount -t tmpfs -o mode=755 cgroup sys/fs/cgroup
  mkdir -p "sys/fs/cgroup/$3"
  mount -t "$1" -o "$2" cgroup "sys/fs/cgroup/$3"
done
mount -t tmpfs -o mode=755 dev dev
for device in null zero full random urandom tty; do
  touch "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
ln -s /proc/self/fd dev/fd
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 shm dev/shm
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
hostname "$name"
mkdir -p .before
pivot_root . .before
umount -l .before
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=reeve /sbin/init
"""


def suite():
    """Of this Debian, for which the package is made."""
    for line in cells.read("/etc/os-release").splitlines():
        if line.startswith(CODENAME):
            return line.removeprefix(CODENAME)
    return ""


def mirror():
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)",
         "Created-By: Packages", "Component: main"], capture_output=True,
        text=True, check=False).stdout.splitlines()
    return next((line for line in told if "security" not in line), "")


def why_not():
    """Why there can be none here; None where there can."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        return f"{', '.join(missing)} not installed"
    if not suite() or not mirror():
        return "this is no Debian with a mirror"
    try:
        urllib.request.urlopen(
            f"{mirror().rstrip('/')}/dists/{suite()}/Release", timeout=30)
    except OSError as error:
        return f"{mirror()} cannot be reached: {error}"
    return why_no_hosts()


def must(*command, **how):
    done = subprocess.run(command, capture_output=True, text=True,
                          check=False, timeout=INSTALL_S, **how)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.returncode}\n"
                             f"{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def control_groups():
    """(type, options, directory below /sys/fs/cgroup) of each hierarchy."""
    found = []
    for line in cells.read("/proc/self/mounts").splitlines():
        _, place, kind, options = line.split()[:4]
        if kind not in ("cgroup", "cgroup2"):
            continue
        inside = os.path.relpath(place, "/sys/fs/cgroup")
        own = [one for one in options.split(",")
               if one not in ("rw", "relatime", "nosuid", "nodev", "noexec",
                              "nsdelegate", "memory_recursiveprot")]
        if any(one.startswith("name=") for one in own):
            own.insert(0, "none")
        found.append((kind, ",".join(own) or "rw", inside))
    return found


class FreshHost:
    def __init__(self, hosts, name, number):
        self.hosts, self.name = hosts, name
        self.address = f"198.51.100.{number}"
        self.space = f"{hosts.prefix}{name}"
        self.veth = f"{hosts.prefix}v{number}"
        self.root = os.path.join(hosts.base, name)
        self.groups = [os.path.join("/sys/fs/cgroup", inside, self.space)
                       for _, _, inside in control_groups()]
        self.boot_process = None
        hosts.attach(self)

    def path(self, name):
        """Of a file of its, seen from here."""
        return os.path.join(self.root, name.lstrip("/"))

    def enter_groups(self):
        for group in self.groups:
            with open(os.path.join(group, "cgroup.procs"), "w",
                      encoding="ascii") as file:
                file.write(str(os.getpid()))

    def make_groups(self):
        for group in self.groups:
            os.makedirs(group, exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):
                own = os.path.join(group, name)
                # Of version 1 they begin empty.
                if os.path.basename(os.path.dirname(group)) == "cpuset":
                    with open(own, "w", encoding="ascii") as file:
                        file.write(cells.read(os.path.join(
                            os.path.dirname(group), name)))

    def boot(self):
        self.make_groups()
        lines = [" ".join(one) for one in control_groups()]
        with open(f"{self.root}.console", "ab") as console:
            self.boot_process = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.space}", "unshare",
                 *NAMESPACES, "--fork", "--kill-child", "--propagation",
                 "private", "sh", "-c", BOOT, "-", self.root, self.name,
                 *lines], stdin=subprocess.DEVNULL, stdout=console,
                stderr=console, preexec_fn=self.enter_groups)
        wait_until(f"systemd runs on {self.name}", lambda: self.run(
            "systemctl is-system-running", code=None).strip() in (
                "running", "degraded"))

    def init_pid(self):
        """As this machine counts; sessions have a process 1 of their own."""
        parent = f"PPid:\t{self.boot_process.pid}\n"
        return next((pid for pid in cells.children_of({self.boot_process.pid})
                     if parent in cells.read(f"/proc/{pid}/status")), 0)

    def run(self, line, code=0, given="", mirror_too=False):
        """What an admin gets to see who types this as root."""
        pid = self.init_pid()
        net = () if mirror_too else ("--net",)
        done = subprocess.run(
            ["nsenter", f"--target={pid}", *NAMESPACES, *net, "--root", "--wd",
             "env", "-i", PATH, "HOME=/root", "LC_ALL=C.UTF-8", "TERM=dumb",
             "DEBIAN_FRONTEND=noninteractive", "REEVE_DATA=/var/lib/reeve",
             "bash", "-c", f"cd /root && {line}"], input=given, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            timeout=INSTALL_S, preexec_fn=self.enter_groups) if pid else None
        if done is None:
            if code is None:
                return ""
            raise AssertionError(f"{self.name} does not run: " + cells.read(
                f"{self.root}.console")[-3000:])
        if code is not None and done.returncode != code:
            raise AssertionError(f"{self.name}# {line}\n{done.stdout}"
                                 f"exit code {done.returncode}, not {code}")
        return done.stdout

    def power_off(self):
        """At once, as by the switch."""
        if self.boot_process and self.boot_process.poll() is None:
            os.kill(self.init_pid() or self.boot_process.pid, signal.SIGKILL)
            self.boot_process.wait(timeout=cells.PATIENCE_S)

    def remove_groups(self):
        for group in self.groups:
            for folder, _, _ in os.walk(group, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError as error:
                    print(f"{folder}: {error.strerror}", file=sys.stderr)


class FreshHosts(Hosts):
    """One system is installed; all hosts are copies of it."""

    def __init__(self, build):
        super().__init__()
        self.system = os.path.join(self.base, "system")
        made = os.environ.get("REEVE_FRESH_SYSTEM")
        if made:
            must("cp", "-a", made, self.system)
        else:
            must("debootstrap", "--variant=minbase", f"--include={INIT}",
                 suite(), self.system, mirror())
        self.take_over_sources()
        self.packages = [self.package(build, *version)
                         for version in ((), ("CPACK_PACKAGE_VERSION=0.1.1",))]

    def take_over_sources(self):
        """How this machine reaches its mirrors, and who answers to a name."""
        etc = os.path.join(self.system, "etc")
        for name in ("resolv.conf", "hosts", "apt/sources.list"):
            if os.path.exists(f"/etc/{name}"):
                shutil.copy(f"/etc/{name}", os.path.join(etc, name))
        shutil.copytree("/etc/apt/sources.list.d",
                        os.path.join(etc, "apt", "sources.list.d"),
                        dirs_exist_ok=True)
        with open(os.path.join(etc, "apt", "apt.conf.d", "90host"), "w",
                  encoding="utf-8") as file:
            file.write(must("apt-config", "dump", "Acquire"))

    def package(self, build, *settings):
        folder = os.path.join(self.base, f"package{len(settings)}")
        must("cpack", "-G", "DEB", "--config",
             os.path.join(build, "CPackConfig.cmake"), "-B", folder,
             *[word for one in settings for word in ("-D", one)])
        return next(os.path.join(folder, name) for name in os.listdir(folder)
                    if name.endswith(".deb"))

    def add_system(self, name):
        host = FreshHost(self, name, len(self.all) + 1)
        self.all.append(host)
        must("cp", "-a", self.system, host.root)
        for file, text in (("hostname", f"{name}\n"), ("machine-id", "")):
            with open(host.path(f"etc/{file}"), "w",
                      encoding="utf-8") as opened:
                opened.write(text)
        for package in self.packages:
            shutil.copy(package, host.path("root"))
        host.boot()
        return host

    def remove(self):
        """Not while something is mounted there, which debootstrap leaves when
        it is cut short."""
        mounted = [line for line in cells.read("/proc/self/mountinfo")
                   .splitlines() if self.base + "/" in line]
        if mounted:
            raise AssertionError("unmount by hand, then remove "
                                 f"{self.base}: {mounted}")
        super().remove()

    def stop(self):
        for host in self.all:
            host.power_off()
            host.remove_groups()
        self.detach()
        return []


__all__ = ["FreshHosts", "FreshHost", "why_not", "ip"]
