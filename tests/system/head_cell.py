"""What tests of a cell with one manager and hosts that join it share."""
import cell as cells
import hosts as rig
from hosts import HostsCase, wait_until

HEAD = f"""[agent]
name = "head"
cpus = 4
[bus]
listen = "{rig.NETWORK}.1:4222"
"""


class HeadCase(HostsCase):
    def setUp(self):
        super().setUp()
        self.head = self.hosts.add("head", HEAD)
        self.head.up()

    def token(self, *arguments):
        return self.head.reeve("token", "create", *arguments).out.strip()

    def join(self, name, *arguments, disk_mib=0):
        host = self.hosts.add(name, disk_mib=disk_mib)
        host.empty()
        token = self.token("--role", "agent")
        host.reeve("join", token, "--name", name, *arguments)
        return host

    def nodes(self):
        return {node["name"]: node
                for node in self.head.reeve("nodes", "--json").json()[
                    "nodes"]}

    def await_node(self, name, *states, seconds=cells.PATIENCE_S):
        """The node, once it is in one of these states, or up."""
        wanted = states or ("up",)

        def there():
            node = self.nodes().get(name)
            return node if node and node["state"] in wanted else None
        return wait_until(f"{name} is {' or '.join(wanted)}", there, seconds)
