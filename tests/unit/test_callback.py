"""What a ramdisk is given for its callback, and what is accepted of it."""

import json
from datetime import UTC, datetime, timedelta
from importlib import resources
from types import SimpleNamespace

import pytest
from ironic.common import context, exception, policy, states
from ironic.conductor import utils as manager_utils
from ironic.conf import CONF
from oslo_config import cfg
from oslo_policy import policy as oslo_policy

from ironic_ilo import callback
from ironic_ilo.callback import RamdiskCallback
from tests.unit.nodes import DISK, UUID, make_node

API_URL = "http://192.0.2.1:6385"


@pytest.fixture
def configure():
    """Set options; all are as they were afterwards."""
    changed = []

    def set_option(name, value, group=None):
        CONF.set_override(name, value, group=group)
        changed.append((name, group))

    yield set_option
    for name, group in changed:
        CONF.clear_override(name, group=group)


@pytest.fixture(autouse=True)
def _configured(configure):
    configure("signing_key", "k" * 32, "ilo")
    configure("endpoint_override", API_URL, "service_catalog")


def make_task(node, *, token=None, lifetime=None):
    """Make what a request gives, with a token that ends so many seconds from now."""
    info = None
    if lifetime is not None:
        expiry = datetime.now(UTC) + timedelta(seconds=lifetime)
        info = {"token": {"expires_at": expiry.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}}
    request = context.RequestContext(auth_token=token, auth_token_info=info)
    return SimpleNamespace(node=node, context=request)


def make_heartbeating_node():
    node = make_node()
    manager_utils.add_secret_token(node, pregenerated=True)
    return node


def sent(node, **changes):
    secrets = callback.get_secrets(node)
    given = {"address": "192.0.2.7", "key": secrets.deploy_key, "iqn": secrets.target_iqn}
    return {name: value for name, value in (given | changes).items() if value is not ...}


def test_callback_is_taken():
    node = make_node()
    info = callback.get_deploy_info(node, sent(node, error="", disks=[DISK]))
    assert (info.address, info.error, info.disks) == ("192.0.2.7", "", (DISK,))
    kept = json.loads(json.dumps(info.as_dict()))
    assert kept == info.as_dict()


@pytest.mark.parametrize("disks", [..., None, []])
def test_disks_need_not_be_told(disks):
    node = make_node()
    assert callback.get_deploy_info(node, sent(node, disks=disks)).disks == ()


def test_error_is_kept_as_far_as_the_database_takes_it():
    node = make_heartbeating_node()
    long = "x" * 100000
    told = (
        callback.get_deploy_info(node, sent(node, error=long)),
        callback.get_heartbeat_info(node, "error", long),
    )
    assert [len(info.error) for info in told] == [4096, 4096]


def test_error_needs_neither_address_nor_iqn():
    node = make_node()
    info = callback.get_deploy_info(node, sent(node, address="", iqn="", error="no disk"))
    assert info.error == "no disk"


@pytest.mark.parametrize("name", ["address", "key", "iqn"])
def test_missing_parameter_is_named(name):
    node = make_node()
    with pytest.raises(exception.MissingParameterValue, match=name):
        callback.get_deploy_info(node, sent(node, **{name: ...}))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"address": "node-0.example.com"}, "address"),
        ({"address": "192.0.2.7:3260"}, "address"),
        ({"address": 3221225991}, "address"),
        ({"iqn": "iqn.2008-10.org.openstack:another"}, "iqn"),
        ({"key": "0" * 64}, "key"),
        ({"key": ""}, "key"),
        ({"key": None}, "key"),
        ({"error": {"code": 1}}, "error"),
        ({"disk": "sda"}, "disk"),
        ({"disks": [{"name": "sda"}]}, "disks"),
    ],
)
def test_malformed_parameter_is_named_and_the_key_is_not_told(changes, named):
    node = make_node()
    with pytest.raises(exception.InvalidParameterValue, match=named) as caught:
        callback.get_deploy_info(node, sent(node, **changes))
    assert callback.get_secrets(node).deploy_key not in str(caught.value)


def test_no_key_fits_when_no_deploy_is_under_way():
    node = make_node()
    given = sent(node)
    node.del_driver_internal_info(callback.NONCE)
    with pytest.raises(exception.InvalidParameterValue, match="key"):
        callback.get_deploy_info(node, given)


def test_key_of_another_node_does_not_fit():
    node, other = make_node(), make_node()
    other.uuid = UUID[::-1]
    with pytest.raises(exception.InvalidParameterValue, match="key"):
        callback.get_deploy_info(other, sent(node))


class TestChoice:
    @pytest.mark.parametrize(
        ("strategy", "chosen"),
        [
            ("noauth", RamdiskCallback.PASS_DEPLOY_INFO),
            ("keystone", RamdiskCallback.HEARTBEAT),
            ("http_basic", RamdiskCallback.HEARTBEAT),
        ],
    )
    def test_no_token_leaves_the_conductor_unless_told_so(self, configure, strategy, chosen):
        configure("auth_strategy", strategy)
        assert callback.find_ramdisk_callback() is chosen

    @pytest.mark.parametrize("name", ["heartbeat", "pass_deploy_info"])
    def test_is_what_was_told(self, configure, name):
        configure("ramdisk_callback", name, "ilo")
        assert callback.find_ramdisk_callback() == name


class TestToken:
    @pytest.fixture(autouse=True)
    def _pass_deploy_info(self, configure):
        configure("auth_strategy", "keystone")
        configure("ramdisk_callback", "pass_deploy_info", "ilo")
        configure("deploy_helper_images_ttl", 10, "ilo")

    def test_that_lives_long_enough_is_fine(self):
        callback.check_token(make_task(make_node(), token="canary-token", lifetime=700))

    def test_of_unknown_life_is_fine(self):
        callback.check_token(make_task(make_node(), token="canary-token"))

    @pytest.mark.parametrize(
        ("token", "lifetime", "reason"),
        [(None, None, "without a Keystone token"), ("canary-token", 500, "expires at")],
    )
    def test_missing_or_short_is_refused_with_what_to_do(self, token, lifetime, reason):
        with pytest.raises(exception.InvalidParameterValue, match=reason) as caught:
            callback.check_token(make_task(make_node(), token=token, lifetime=lifetime))
        assert "ramdisk_callback to heartbeat" in str(caught.value)
        assert "canary" not in str(caught.value)

    def test_there_is_none_with_http_basic(self, configure):
        configure("auth_strategy", "http_basic")
        with pytest.raises(exception.InvalidParameterValue, match="http_basic there is no token"):
            callback.check_token(make_task(make_node()))

    def test_is_not_needed_for_a_heartbeat(self, configure):
        configure("ramdisk_callback", "heartbeat", "ilo")
        callback.check_token(make_task(make_node()))


class TestValidation:
    def make_task(self, *routes, **token):
        task = make_task(make_node(), **token)
        task.driver = SimpleNamespace(vendor=SimpleNamespace(vendor_routes=dict.fromkeys(routes)))
        return task

    @pytest.mark.parametrize("strategy", ["noauth", "http_basic", "keystone"])
    def test_needs_nothing_by_default(self, configure, strategy):
        configure("auth_strategy", strategy)
        callback.validate_callback(self.make_task("pass_deploy_info"))

    def test_pass_deploy_info_needs_the_token(self, configure):
        configure("auth_strategy", "keystone")
        configure("ramdisk_callback", "pass_deploy_info", "ilo")
        callback.validate_callback(self.make_task("pass_deploy_info", token="t0ken"))
        with pytest.raises(exception.InvalidParameterValue, match="without a Keystone token"):
            callback.validate_callback(self.make_task("pass_deploy_info"))

    def test_pass_deploy_info_needs_our_vendor_interface_and_a_heartbeat_none(self, configure):
        configure("ramdisk_callback", "pass_deploy_info", "ilo")
        configure("auth_strategy", "noauth")
        without = self.make_task()
        without.node.vendor_interface = "no-vendor"
        with pytest.raises(exception.InvalidParameterValue, match=r"no-vendor, .* set it to ilo"):
            callback.validate_callback(without)
        configure("auth_strategy", "keystone")
        configure("ramdisk_callback", "heartbeat", "ilo")
        callback.validate_callback(without)

    def test_https_needs_a_ca(self, configure):
        configure("endpoint_override", "https://192.0.2.1", "service_catalog")
        with pytest.raises(exception.InvalidParameterValue, match="callback_ca"):
            callback.validate_callback(self.make_task("pass_deploy_info"))


class TestFloppy:
    def test_of_pass_deploy_info_has_the_key_and_the_token(self):
        node = make_node()
        secrets = callback.get_secrets(node)
        parameters = callback.build_ramdisk_parameters(node, secrets)
        assert parameters["ironic_api_url"] == API_URL
        assert parameters["deployment_key"] == secrets.deploy_key
        assert not {"ramdisk_callback", "agent_token"} & set(parameters)
        files = callback.build_ramdisk_files(make_task(node, token="t0ken"))
        assert files == {"token": b"t0ken"}

    def test_of_pass_deploy_info_has_no_token_where_none_is_asked_for(self):
        assert callback.build_ramdisk_files(make_task(make_node())) == {}

    def test_of_a_heartbeat_has_the_agent_token_alone(self):
        node = make_heartbeating_node()
        parameters = callback.build_ramdisk_parameters(node, callback.get_secrets(node))
        assert parameters["ramdisk_callback"] == "heartbeat"
        assert parameters["agent_token"] == node.driver_internal_info["agent_secret_token"]
        assert "deployment_key" not in parameters
        assert callback.build_ramdisk_files(make_task(node, token="t0ken")) == {}

    def test_has_the_ca(self, configure, tmp_path):
        (tmp_path / "ca.pem").write_bytes(b"PEM")
        configure("callback_ca", str(tmp_path / "ca.pem"), "ilo")
        files = callback.build_ramdisk_files(make_task(make_node()))
        assert files == {"callback_ca.pem": b"PEM"}


class TestHeartbeat:
    def message(self, node, **changes):
        told = {"address": "2001:db8::7", "iqn": callback.get_secrets(node).target_iqn} | changes
        return json.dumps(told)

    def test_tells_where_the_disk_is(self):
        node = make_heartbeating_node()
        info = callback.get_heartbeat_info(node, "end", self.message(node, disks=[DISK]))
        secrets = callback.get_secrets(node)
        assert info == callback.DeployInfo("2001:db8::7", secrets.target_iqn, "", (DISK,))

    @pytest.mark.parametrize(
        ("message", "error"), [("no disk", "no disk"), (None, "no reason was given")]
    )
    def test_tells_an_error(self, message, error):
        info = callback.get_heartbeat_info(make_heartbeating_node(), "error", message)
        assert info.error == error

    @pytest.mark.parametrize(
        ("status", "changes", "named"),
        [
            ("start", {}, "agent_status"),
            (None, {}, "agent_status"),
            ("end", {"address": "node-0"}, "address"),
            ("end", {"address": None}, "address"),
            ("end", {"address": ["192.0.2.7"]}, "address"),
            ("end", {"iqn": "iqn.2008-10.org.openstack:another"}, "iqn"),
            ("end", {"disks": 5}, "disks"),
        ],
    )
    def test_malformed_is_refused(self, status, changes, named):
        node = make_heartbeating_node()
        with pytest.raises(exception.InvalidParameterValue, match=named):
            callback.get_heartbeat_info(node, status, self.message(node, **changes))

    @pytest.mark.parametrize("message", [None, "", "{", "[]", "[" * 10_000, "address=192.0.2.7"])
    def test_that_is_no_object_is_refused(self, message):
        with pytest.raises(exception.InvalidParameterValue, match="not a JSON object"):
            callback.get_heartbeat_info(make_heartbeating_node(), "end", message)

    def test_with_a_token_that_ironic_gave_to_whoever_asked_is_refused(self):
        node = make_node()
        manager_utils.add_secret_token(node)
        with pytest.raises(exception.InvalidParameterValue, match="no deploy with agent_token"):
            callback.get_heartbeat_info(node, "end", self.message(node))

    def test_without_a_deploy_is_refused(self):
        node = make_heartbeating_node()
        message = self.message(node)
        node.del_driver_internal_info(callback.NONCE)
        with pytest.raises(exception.InvalidParameterValue, match="no deploy with agent_token"):
            callback.get_heartbeat_info(node, "end", message)


@pytest.mark.parametrize(
    ("request_by", "allowed"),
    [
        ({"project_id": "tenant", "roles": ["member"]}, True),
        ({"project_id": "other", "roles": ["member"]}, False),
        ({"project_id": "tenant", "roles": ["reader"]}, False),
        ({"project_id": "renter", "roles": ["admin"]}, True),
        ({"system_scope": "all", "roles": ["admin", "member"]}, True),
    ],
)
def test_shipped_policy_lets_those_call_who_may_deploy(request_by, allowed):
    shipped = resources.files("ironic_ilo").joinpath("data", "policy.yaml")
    configuration = cfg.ConfigOpts()
    configuration([])
    enforcer = oslo_policy.Enforcer(configuration, policy_file=str(shipped))
    enforcer.suppress_deprecation_warnings = True
    enforcer.register_defaults(policy.list_policies())
    request = context.RequestContext(**request_by)
    target = {"node.owner": "tenant", "node.lessee": "renter"}
    for rule in ("baremetal:node:vendor_passthru", "baremetal:node:set_provision_state"):
        assert enforcer.authorize(rule, target, request) is allowed


class RacedTask:
    """A task with a shared lock; before it has the exclusive one, another callback is taken."""

    def __init__(self, read, stored):
        self.node, self.stored = read, stored

    def upgrade_lock(self, purpose):
        # Ironic's tasks read the node anew.
        self.node = self.stored


def test_of_two_callbacks_at_once_one_is_taken(monkeypatch):
    read, stored = make_node(), make_node()
    for node in (read, stored):
        node.provision_state, node.deploy_step = states.DEPLOYWAIT, {"step": "deploy"}
    info = callback.get_deploy_info(read, sent(read))
    stored.set_driver_internal_info(callback.CALLBACK, info.as_dict())
    resumed = []
    monkeypatch.setattr(manager_utils, "notify_conductor_resume_deploy", resumed.append)
    callback.take(RacedTask(read, stored), info)
    assert not resumed
