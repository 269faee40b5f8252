"""The Pod Security Standard "restricted", for pods of Linux."""

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def violations(pod):
    """Returns what the standard forbids in the specification of a pod."""
    wrong = [f"{name} is true" for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name)]
    for volume in pod.get("volumes", []):
        wrong += [f"volume of type {kind}" for kind in volume.keys() - {"name"} - VOLUMES]
    for container in pod["containers"] + pod.get("initContainers", []):
        wrong += [f"{container['name']}: {problem}" for problem in of_container(pod.get("securityContext", {}), container)]
    return wrong


def of_container(pod, container):
    """Returns what the standard forbids in a container, whose context overrides that of the pod."""
    own = container.get("securityContext", {})
    both = pod | own
    checks = {
        "may be privileged": not own.get("privileged"),
        "may gain privileges": own.get("allowPrivilegeEscalation") is False,
        "may run as root": both.get("runAsNonRoot") is True and both.get("runAsUser") != 0,
        "keeps capabilities": "ALL" in own.get("capabilities", {}).get("drop", []),
        "adds capabilities": set(own.get("capabilities", {}).get("add", [])) <= {"NET_BIND_SERVICE"},
        "has no seccomp profile": both.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
        "has a port of the host": not any(port.get("hostPort") for port in container.get("ports", [])),
        # Not a part of the standard.
        "can write to its image": own.get("readOnlyRootFilesystem") is True,
    }
    return [problem for problem, fine in checks.items() if not fine]
