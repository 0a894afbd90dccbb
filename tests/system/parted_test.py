"""The link between the leader's host and another manager's is down: a node and
a user's host that came by the bus server of that other one go elsewhere. Real
processes in network namespaces."""
import json
import os
import re
import time

import cell as cells
import hosts as rig
from manager_cell import ManagersCase

# After which a silent node is lost.
NODE_LOST_S = 12
# By then the leader has found out whether it reaches the servers of the stream.
LASTING_S = 40 * cells.SLOWNESS
# After that it is asked through the other servers: server_wait of
# bus/retry.hpp.
SERVER_WAIT_S = 1.5 * cells.SLOWNESS
ANSWERED_S_MAX = 15 * cells.SLOWNESS


class PartedTest(ManagersCase):
    def form(self):
        super().form()
        self.all[0].reeve("user", "set", "ann", "--uid", "12345")
        self.desk = self.joined("desk", ["--role", "user", "--name", "ann"])
        self.node = self.joined("n1", ["--role", "agent"], "--name", "n1")
        self.await_node("n1")

    def prefer(self, host, name, order):
        """It tries the servers of these hosts in this order."""
        path = os.path.join(host.data, "bus", name)
        kept = json.loads(cells.read(path))
        kept["urls"] = [re.sub("//.*:", f"//{one.address}:", kept["urls"][0])
                        for one in order]
        with open(path, "w", encoding="utf-8") as file:
            json.dump(kept, file)
        servers = path.replace(".json", ".servers")
        with open(servers, "w", encoding="utf-8") as file:
            file.write("".join(url + "\n" for url in kept["urls"]))
        os.chmod(servers, 0o600)

    def test_who_came_by_the_server_of_the_parted_one_goes_elsewhere(self):
        leader = self.leader()
        other, third = self.others(leader)
        order = [other, leader, third]
        self.prefer(self.desk, "client.json", order)
        self.prefer(self.node, "agent.json", order)
        self.node.kill_daemon()
        self.node.up()
        self.await_node("n1")
        one = leader.submit("--on-node", "n1", "--", "sleep", "600")
        pid = leader.await_state(one, "running")["tasks"][0]["pid"]
        leader.refuse(other)
        time.sleep(LASTING_S)
        took = []
        for _ in range(5):
            begun = time.monotonic()
            self.desk.reeve("submit", "--", "true")
            took.append(time.monotonic() - begun)
        print(f"{leader.name} and {other.name} parted, "
              f"{self.leader(of=[third]).name} leads; submitted in {took}")
        self.assertLess(max(took), ANSWERED_S_MAX)
        # The next one begins with the server that answered.
        self.assertLess(sorted(took)[len(took) // 2], SERVER_WAIT_S)
        self.await_node("n1")
        # It is heard, and not only not lost yet.
        time.sleep(2 * NODE_LOST_S)
        self.await_node("n1")
        self.assertEqual("hello\n", self.desk.reeve(
            "run", "--on-node", "n1", "--", "echo", "hello").out)
        self.assertTrue(cells.is_running(pid))
        self.assertEqual("running", third.show(one)["state"])
        for host in (leader, other):
            host.open_again()
        self.await_equal_logs()


if __name__ == "__main__":
    rig.main()
