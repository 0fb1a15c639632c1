"""The menu: a real EasyTier node's user asks a Selvage node over telnet, and may only look."""
import pytest

from easytier import EasyTierNode
from telnet import Telnet

PORT = 2323


@pytest.fixture
def asked(world, mode, selvage_node):
    """(the calling EasyTier node, the Selvage node with a menu)."""
    caller, middle = world.host("caller"), world.host("selvage")
    world.segment("net", "10.201.1.0/24", caller, middle)
    node = selvage_node(middle, "10.144.1.2", tun=mode == "tun", listen=["udp://0.0.0.0:11010"],
                        services={"menu": {"enabled": True, "allow": ["caller"]}})
    easytier = EasyTierNode(caller, "10.144.1.1", peers=[f"udp://{middle.address()}:11010"])
    easytier.wait_for_route("selvage")
    node.wait_for_route("caller")
    return easytier, node


def rows(text):
    return [line.split() for line in text.replace("\r", "").splitlines() if line.strip()]


def ask(telnet, line):
    """What the menu says to a line, up to its next prompt."""
    telnet.command(line)
    telnet.expect(r"\n")
    answer = telnet.expect(r"(?s)(.*?)selvage> $").group(1)
    return rows(answer)


def test_the_menu_shows_what_the_command_line_shows(asked):
    caller, node = asked
    with Telnet(caller.host, node.ip, PORT, columns=200) as telnet:
        telnet.expect(r"selvage> $")
        assert ask(telnet, "routes") == rows(node.run_cli("routes").stdout)
        peers = ask(telnet, "peers")
        assert peers[0] == rows(node.run_cli("peers").stdout)[0]
        assert "caller" in peers[1]
        services = {row[0]: row for row in ask(telnet, "services")}
        assert services["menu"][1] == "listening" and services["shell"][1] == "off"
        assert any("menu" in row and "caller" in row for row in ask(telnet, "sessions"))
        assert ask(telnet, "ping caller")[0][0] == "caller"
        assert ["MEMBER", "caller"] in ask(telnet, f"whois {caller.ip}")
        log = ask(telnet, "log 500")
        assert any("listening" in " ".join(row) or "node up" in " ".join(row) for row in log), log
        assert "clover" not in str(log), "the network's secret"
        telnet.send("quit\r")
        telnet.expect_end()


def test_the_menu_completes_recalls_and_interrupts(asked):
    caller, node = asked
    with Telnet(caller.host, node.ip, PORT) as telnet:
        telnet.expect(r"selvage> $")
        telnet.send("pi\tcal\t")
        telnet.expect(r"ping caller $")
        telnet.send("\r")
        telnet.expect(r"caller \(peer \d+\).*\r")
        telnet.expect(r"selvage> $")
        telnet.send("\x1b[A")
        telnet.expect(r"ping caller $")
        telnet.send("\x15")
        telnet.send("ping 10.144.1.77\r")
        telnet.expect(r"no member is called 10\.144\.1\.77\r")
        telnet.expect(r"selvage> $")
        telnet.send("abandoned\x03")
        telnet.expect(r"selvage> $")
        assert ask(telnet, "kill 1")[0][:4] == ["There", "is", "no", "command"]
        telnet.send("\x04")
        telnet.expect_end()
    assert int(node.service("menu")["accepted"]) == 1


def test_the_menus_log_follows_until_it_is_interrupted(asked):
    caller, node = asked
    with Telnet(caller.host, node.ip, PORT, columns=200) as telnet:
        telnet.expect(r"selvage> $")
        telnet.command("log -f")
        telnet.expect(r"session opened.*caller.*\n")
        with Telnet(caller.host, node.ip, PORT) as another:
            another.expect(r"selvage> $")
            telnet.expect(r"session opened.*caller.*\n")
        telnet.expect(r"session closed.*caller.*\n")
        telnet.send("\x03")
        telnet.expect(r"selvage> $")
        assert "caller" in str(ask(telnet, "peers")), "commands are taken again"
