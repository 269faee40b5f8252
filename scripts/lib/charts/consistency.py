"""Rules that hold between the documents of one rendering. Each returns what breaks it, as a list of texts."""

from render import named, of_kind, pods, workload

PORTS = {"grpc": 50051, "api": 50052, "http": 8080, "ops": 9090}


def matches(selector, labels):
    """Returns true if every label of the selector is among the labels."""
    return selector.items() <= labels.items()


def selectors(documents):
    """Services, budgets, network policies and the workload select its pods, and not the test's."""
    labels = workload(documents)["spec"]["template"]["metadata"]["labels"]
    chosen = [("workload", workload(documents)["spec"]["selector"]["matchLabels"])]
    chosen += [(one["metadata"]["name"], one["spec"]["selector"]) for one in of_kind(documents, "Service")]
    chosen += [("budget", one["spec"]["selector"]["matchLabels"]) for one in of_kind(documents, "PodDisruptionBudget")]
    chosen += [("policy", one["spec"]["podSelector"]["matchLabels"]) for one in of_kind(documents, "NetworkPolicy")]
    wrong = [f"{name} does not select the pods" for name, selector in chosen if not matches(selector, labels)]
    for pod in of_kind(documents, "Pod"):
        wrong += [f"{name} selects the test" for name, selector in chosen if matches(selector, pod["metadata"]["labels"])]
    return wrong


def container(documents):
    """Returns the container of Countersign."""
    return workload(documents)["spec"]["template"]["spec"]["containers"][0]


def service_ports(documents):
    """Each port of a Service is a port of the container, with the number that gateways know."""
    ports = {one["name"]: one["containerPort"] for one in container(documents)["ports"]}
    wrong = [f"port {name} is {port}" for name, port in ports.items() if PORTS.get(name) != port]
    for service in of_kind(documents, "Service"):
        for port in service["spec"]["ports"]:
            if ports.get(port["targetPort"]) != port["port"] or port["name"] != port["targetPort"]:
                wrong.append(f"{service['metadata']['name']}: {port['name']} leads to no port of the container")
    return wrong


def probes(documents):
    """Each probe calls the ops listener, and only readiness depends on the store."""
    expected = {"startupProbe": "/livez", "readinessProbe": "/readyz", "livenessProbe": "/livez"}
    wrong = []
    for name, path in expected.items():
        call = container(documents).get(name, {}).get("httpGet", {})
        if (call.get("path"), call.get("port")) != (path, "ops"):
            wrong.append(f"{name} calls {call.get('path')} at {call.get('port')}")
    return wrong


def probe_schemes(documents, configuration):
    """Probes use TLS if and only if the listener does."""
    tls = bool(configuration["ops"].get("tls"))
    schemes = {container(documents)[name]["httpGet"].get("scheme") == "HTTPS" for name in ("livenessProbe", "readinessProbe", "startupProbe")}
    return [] if schemes == {tls} else ["the scheme of a probe is not that of the ops listener"]


def listeners(documents, configuration):
    """Each port of the container has a listener on every address, and no other listener has one."""
    ports = {one["name"] for one in container(documents)["ports"]}
    wrong = []
    for section, name in (("check", "grpc"), ("api", "api"), ("http", "http"), ("ops", "ops")):
        listen = configuration.get(section, {}).get("listen")
        if listen != (f"0.0.0.0:{PORTS[name]}" if name in ports else None):
            wrong.append(f"{section} listens on {listen}")
    return wrong


def secret_references(documents):
    """Returns each Secret that pods name, with the keys."""
    found = []
    for _, pod in pods(documents):
        for one in pod["containers"]:
            references = [variable.get("valueFrom", {}).get("secretKeyRef") for variable in one.get("env", [])]
            found += [(reference["name"], reference["key"]) for reference in references if reference]
        for volume in pod.get("volumes", []):
            sources = [volume] + volume.get("projected", {}).get("sources", [])
            for secret in [source["secret"] for source in sources if "secret" in source]:
                name = secret.get("secretName") or secret["name"]
                found += [(name, item["key"]) for item in secret.get("items", [{"key": None}])]
    return found


def secrets(documents, keys):
    """Each Secret that pods name is rendered, issued by cert-manager or one that the example announces in `keys`."""
    issued = {one["spec"]["secretName"] for one in of_kind(documents, "Certificate")}
    known = {name: {"tls.crt", "tls.key", "ca.crt", None} for name in issued} | keys
    for secret in of_kind(documents, "Secret"):
        known[secret["metadata"]["name"]] = set(secret["stringData"])
    return [f"nothing makes {key} of {name}" for name, key in secret_references(documents) if key not in known.get(name, ())]


def mounts(documents):
    """Each mounted volume exists, and each volume is mounted."""
    wrong = []
    for metadata, pod in pods(documents):
        volumes = {one["name"] for one in pod.get("volumes", [])}
        volumes |= {one["metadata"]["name"] for one in workload(documents)["spec"].get("volumeClaimTemplates", [])} if "name" not in metadata else set()
        mounted = {mount["name"] for one in pod["containers"] for mount in one.get("volumeMounts", [])}
        wrong += [f"volume {name} is not both defined and mounted" for name in volumes ^ mounted]
    return wrong


def files(documents, configuration):
    """Each file that the configuration names is in a mounted volume."""
    pod = workload(documents)["spec"]["template"]["spec"]
    places = {mount["name"]: mount["mountPath"] for mount in container(documents)["volumeMounts"]}
    present = {f"{places[volume['name']]}/{item['path']}" for volume in pod["volumes"] for item in items(volume)}
    named_files = [value for value in leaves(configuration) if isinstance(value, str) and value.startswith("/secrets/")]
    return [f"{path} is in no volume" for path in named_files if path not in present]


def items(volume):
    """Returns the items of the Secrets in a volume."""
    sources = [volume] + volume.get("projected", {}).get("sources", [])
    return [item for source in sources if "secret" in source for item in source["secret"].get("items", [])]


def leaves(value):
    """Returns every value of a nested structure that is not a map or list."""
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in leaves(one)]
    if isinstance(value, list):
        return [leaf for one in value for leaf in leaves(one)]
    return [value]


def availability(documents):
    """The autoscaler and the budget agree with the number of replicas."""
    deployed, wrong = workload(documents), []
    scalers, budgets = of_kind(documents, "HorizontalPodAutoscaler"), of_kind(documents, "PodDisruptionBudget")
    replicas = scalers[0]["spec"]["minReplicas"] if scalers else deployed["spec"]["replicas"]
    if scalers and "replicas" in deployed["spec"]:
        wrong.append("an update would undo the scaling")
    for scaler in scalers:
        target = scaler["spec"]["scaleTargetRef"]
        if (target["kind"], target["name"]) != (deployed["kind"], deployed["metadata"]["name"]):
            wrong.append("the autoscaler has another target")
        if "cpu" not in container(documents)["resources"]["requests"]:
            wrong.append("the autoscaler needs a request of CPU")
    if bool(budgets) != (replicas > 1):
        wrong.append(f"{len(budgets)} budgets for {replicas} replicas")
    if replicas > 1 and deployed["kind"] != "Deployment":
        wrong.append("more than one replica with the embedded store")
    return wrong


def network(documents):
    """Only gateways and the test reach the check port, and pods reach Redis and DNS."""
    wrong = []
    for policy in of_kind(documents, "NetworkPolicy"):
        for rule in policy["spec"]["ingress"]:
            if not rule.get("ports") or not rule.get("from") or {} in rule["from"]:
                wrong.append("a rule permits every port or every pod")
        out = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
        needed = {53} | ({6379} if workload(documents)["kind"] == "Deployment" else set())
        if not needed <= out:
            wrong.append(f"no way out to {needed - out}")
    return wrong


def certificates(documents, namespace):
    """Each Certificate has the names by which its listener is called."""
    wrong = []
    for certificate in of_kind(documents, "Certificate"):
        name = certificate["metadata"]["name"]
        service = "countersign-issuing" if name.endswith("-http") else "countersign"
        host = f"{service}.{namespace}.svc.cluster.local"
        if "server auth" in certificate["spec"]["usages"] and host not in certificate["spec"]["dnsNames"]:
            wrong.append(f"{name} lacks {host}")
    return wrong


def routes(documents):
    """The route has exactly the paths of the token endpoints, and leads to a Service."""
    expected = {f"/oauth/{name}" for name in ("request_token", "authorize", "access_token")}
    wrong = []
    for route in of_kind(documents, "HTTPRoute"):
        (rule,) = route["spec"]["rules"]
        if {(match["path"]["type"], match["path"]["value"]) for match in rule["matches"]} != {("Exact", path) for path in expected}:
            wrong.append("the route has other paths")
        (backend,) = rule["backendRefs"]
        ports = named(documents, "Service", backend["name"])["spec"]["ports"]
        if backend["port"] not in [port["port"] for port in ports]:
            wrong.append("the route leads to no port")
    return wrong


def monitored(documents):
    """The ServiceMonitor selects one Service, which has its port."""
    wrong = []
    for monitor in of_kind(documents, "ServiceMonitor"):
        selector = monitor["spec"]["selector"]["matchLabels"]
        chosen = [one for one in of_kind(documents, "Service") if matches(selector, one["metadata"]["labels"])]
        names = {port["name"] for one in chosen for port in one["spec"]["ports"]}
        if len(chosen) != 1 or not {one["port"] for one in monitor["spec"]["endpoints"]} <= names:
            wrong.append(f"the ServiceMonitor selects {len(chosen)} Services")
    return wrong
