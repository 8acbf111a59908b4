"""What a profile is made of, as an SPDX 2.3 document: https://spdx.github.io/spdx-spec/v2.3/ .

Sources are named by their SWHIDs, which their ids are; what stands on package indexes and in packages of the host, by
package URLs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from packageurl import PackageURL
from spdx_tools.spdx import model
from spdx_tools.spdx.writer.write_anything import write_file

from hashdist.errors import InvalidError
from hashdist.fsutil.atomic import publish, sync_directory, unique_suffix
from hashdist.hostscan.capture import PackageLine
from hashdist.objects.artifact_id import ArtifactId
from hashdist.sources.pin import Pin
from hashdist.store.roots import in_use
from hashdist.version import __version__
from hashdist.workflow.session import Session

from .archive import check_free
from .closure import Closure, closure_of
from .licences import declared

#: Endings of the formats of SPDX; the library tells them apart by these.
ENDINGS = (".spdx", ".spdx.json", ".spdx.yaml", ".spdx.yml", ".spdx.xml", ".spdx.rdf", ".spdx.rdf.xml")
_DOCUMENT = "SPDXRef-DOCUMENT"
_PROFILE = "SPDXRef-profile"
_NAME = re.compile(r"[^A-Za-z0-9.-]+")


def export_sbom(session: Session, revision: str | None, path: str) -> tuple[Closure, int]:
    """Write the document, in the format that the ending of `path` says; give how many packages are in it.

    Nothing has to be on a network. Raises as `closure_of` does, `ConflictError` where there is such a file,
    and `InvalidError` for an unknown ending.
    """
    check_free(path)
    ending = next((one for one in sorted(ENDINGS, key=len, reverse=True) if path.endswith(one)), None)
    if ending is None:
        raise InvalidError(f"'{path}' is of no format of SPDX", hint=f"choose one of: {' '.join(ENDINGS)}")
    with in_use(session.store, purpose="export"):
        closure = closure_of(session, revision)
        document = document_of(session, closure)
    temporary = f"{path.removesuffix(ending)}.tmp-{unique_suffix()}{ending}"
    try:
        write_file(document, temporary, validate=True)
        publish(temporary, path, durable=session.store.durable)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
    sync_directory(os.path.dirname(path))
    return closure, len(document.packages)


def document_of(session: Session, closure: Closure) -> model.Document:
    """The document: the profile, its artifacts, their sources, and packages of the host."""
    relationship = model.RelationshipType
    name = f"{closure.name}-{closure.commit[:12]}"
    created = datetime.fromtimestamp(closure.time, UTC).replace(tzinfo=None)
    creation = model.CreationInfo(
        spdx_version="SPDX-2.3",
        spdx_id=_DOCUMENT,
        name=name,
        document_namespace=f"https://spdx.org/spdxdocs/hashdist-{_NAME.sub('-', closure.name)}-{closure.commit}",
        creators=[model.Actor(model.ActorType.TOOL, f"hashdist-{__version__}")],
        created=created,
    )
    packages = [
        _package(
            _PROFILE,
            closure.name,
            str(closure.commit),
            (),
            comment=f"a profile of hashdist, of {len(closure.artifacts)} artifacts",
        )
    ]
    relations = [model.Relationship(_DOCUMENT, relationship.DESCRIBES, _PROFILE)]
    for artifact in closure.artifacts:
        packages.append(_artifact(closure, artifact))
        relations.append(model.Relationship(_PROFILE, relationship.CONTAINS, _id("artifact", artifact.spec)))
        relations += _needs(session, closure, artifact)
    packages += map(_source, _pins(closure).values())
    for artifact, spec in closure.specs.items():
        for tree in dict.fromkeys(spec.sources.values()):
            if tree in _pins(closure):
                end = _id("source", tree)
                relations.append(model.Relationship(_id("artifact", artifact.spec), relationship.GENERATED_FROM, end))
    for line in closure.system.packages:
        relations.append(model.Relationship(_PROFILE, relationship.DEPENDS_ON, _host_id(line)))
    packages += [_of_host(session, line) for line in closure.packages]
    for scan in closure.scans:
        for line in scan.packages:
            end = _host_id(line)
            relations.append(model.Relationship(_id("artifact", scan.spec), relationship.DEPENDS_ON, end))
    return model.Document(creation, packages=packages, relationships=relations)


def _needs(session: Session, closure: Closure, artifact: ArtifactId) -> Iterator[model.Relationship]:
    known = {one.spec for one in closure.artifacts}
    for other in session.store.artifacts.record(artifact.spec).references:
        if other in known and other != artifact.spec:
            start, end = _id("artifact", artifact.spec), _id("artifact", other)
            yield model.Relationship(start, model.RelationshipType.DEPENDS_ON, end)


def _pins(closure: Closure) -> Mapping[str, Pin]:
    """The sources of what is in the prefix, by tree."""
    wanted = {tree for spec in closure.specs.values() for tree in spec.sources.values()}
    pins = {str(pin.tree): pin for of in closure.lock.sources.values() for pin in of.values()}
    return {tree: pins[tree] for tree in sorted(wanted) if tree in pins}


def _artifact(closure: Closure, artifact: ArtifactId) -> model.Package:
    spec = closure.specs[artifact]
    of_index = {pin.declaration.get("pypi") for pin in closure.lock.sources.get(artifact.name, {}).values()}
    projects = sorted(filter(None, of_index))
    references = [_purl("pypi", None, str(project), artifact.version) for project in projects]
    how = "captured from the host" if spec.host is not None else "built by hashdist"
    package = _package(
        _id("artifact", artifact.spec),
        artifact.name,
        artifact.version,
        references,
        comment=f"{how}: {artifact}, at {closure.artifacts[artifact]}",
    )
    licence = declared(closure.artifacts[artifact]) if spec.host is None else None
    if licence is not None:
        package.license_declared = licence
    return package


def _source(pin: Pin) -> model.Package:
    checksums = [model.Checksum(model.ChecksumAlgorithm.SHA256, pin.sha256)] if pin.sha256 else []
    name = str(pin.declaration.get("pypi") or (os.path.basename(pin.url.rstrip("/")) if pin.url else "source"))
    swhid = model.ExternalPackageRef(model.ExternalPackageRefCategory.PERSISTENT_ID, "swh", f"swh:1:dir:{pin.tree}")
    place = f"git+{pin.url}@{pin.commit}" if pin.commit and pin.url else pin.url
    package = _package(_id("source", pin.tree), name, None, [swhid], purpose=model.PackagePurpose.SOURCE)
    if place is not None and re.match(r"(git\+)?(https?|ssh|git|file)://", place):
        package.download_location = place
    package.checksums = checksums
    return package


def _of_host(session: Session, line: PackageLine) -> model.Package:
    kind = "deb" if line.manager == "dpkg" else "rpm"
    system, _, rest = session.where.host_class.partition("-")
    name, _, arch = line.name.partition(":")
    qualifiers = {"distro": f"{system}-{rest.partition('-')[0]}"} | ({"arch": arch} if arch else {})
    return _package(
        _host_id(line), name, line.version, [_purl(kind, system, name, line.version, qualifiers)], comment="of the host"
    )


def _package(
    id: str,
    name: str,
    version: str | None,
    references: tuple[model.ExternalPackageRef, ...] | list[model.ExternalPackageRef],
    *,
    comment: str | None = None,
    purpose: model.PackagePurpose | None = None,
) -> model.Package:
    return model.Package(
        id,
        name,
        model.SpdxNoAssertion(),
        version=version,
        files_analyzed=False,
        license_concluded=model.SpdxNoAssertion(),
        license_declared=model.SpdxNoAssertion(),
        copyright_text=model.SpdxNoAssertion(),
        external_references=list(references),
        comment=comment,
        primary_package_purpose=purpose,
    )


def _purl(
    kind: str, namespace: str | None, name: str, version: str, qualifiers: Mapping[str, str] | None = None
) -> model.ExternalPackageRef:
    url = PackageURL(kind, namespace, name, version, dict(qualifiers or {}))
    return model.ExternalPackageRef(model.ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", url.to_string())


def _id(kind: str, digits: str) -> str:
    return f"SPDXRef-{kind}-{digits}"


def _host_id(line: PackageLine) -> str:
    return f"SPDXRef-{line.manager}-{_NAME.sub('-', line.name)}-{_NAME.sub('-', line.version)}"
