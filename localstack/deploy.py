#!/usr/bin/env python3
"""Deploys infra/template.yaml to an emulator of AWS, as `sam build` and `sam deploy` do to AWS.

It zips and uploads each function's `bootstrap`, puts the zip's address where the template has `CodeUri`, and creates or
updates the stack. Nothing else of the template changes, except for resource types that the emulator's CloudFormation does not
know: see `ResponsesByApi`. May be run again at any time.

It needs boto3 and PyYAML, which the emulator of requirements.txt brings along. Progress goes to standard error; the last line
on standard output is the stack's outputs as JSON.
"""

import argparse
import hashlib
import io
import json
import pathlib
import platform
import re
import sys
import time
import zipfile

import boto3
import botocore.config
import botocore.exceptions
import yaml

TEMPLATE = pathlib.Path(__file__).resolve().parent.parent / "infra" / "template.yaml"

# Whatever the environment holds, these reach no account.
CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}

# Where an issuer publishes its keys, and where it says so.
JWKS = ".well-known/jwks.json"
DISCOVERY = ".well-known/openid-configuration"

DONE = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}


class Problem(Exception):
    """Something that the user can mend; shown without a traceback."""


def say(text):
    print(text, file=sys.stderr, flush=True)


class TemplateLoader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, which become their long ones."""


def short_form(loader, name, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if name == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


TemplateLoader.add_multi_constructor("!", short_form)


def functions(template):
    """The functions of the template, with the binary that each is built from."""
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            yield name, resource, resource["Metadata"]["BuildProperties"]["Binary"]


def zipped(bootstrap):
    """A zip that is the same for the same bytes, so that unchanged code is no change of the stack."""
    entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(entry, bootstrap.read_bytes())
    return out.getvalue()


def make_bucket(s3, bucket):
    try:
        s3.head_bucket(Bucket=bucket)
    except botocore.exceptions.ClientError:
        s3.create_bucket(Bucket=bucket)


def issuer_of(endpoint, bucket):
    """The address under which the bucket's objects are."""
    return f"{endpoint.rstrip('/')}/{bucket}"


def publish(s3, bucket, jwks, issuer):
    """Uploads a key set where authorizers look for it: the functions' at JwksUrl, the HTTP API's by the issuer's discovery document."""
    discovery = json.dumps({"issuer": issuer, "jwks_uri": f"{issuer}/{JWKS}"}).encode()
    for key, body in ((JWKS, jwks), (DISCOVERY, discovery)):
        s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")


def upload(s3, bucket, template, artifacts):
    """Uploads what `cargo lambda build` left in `artifacts`, and points the template at it."""
    for name, resource, binary in functions(template):
        bootstrap = artifacts / binary / "bootstrap"
        if not bootstrap.is_file():
            raise Problem(f"{bootstrap} is missing: build it with `cargo lambda build --release --bin {binary}`")
        code = zipped(bootstrap)
        key = f"{binary}-{hashlib.sha256(code).hexdigest()[:16]}.zip"
        s3.put_object(Bucket=bucket, Key=key, Body=code)
        resource["Properties"]["CodeUri"] = f"s3://{bucket}/{key}"
        say(f"uploaded {name}: {key}, {len(code):,} bytes")


def platform_endpoint(sns):
    """An endpoint of a platform application of SNS, for a device to register: its ARN.

    In the emulator's ARNs stands `app` where in those of AWS stands `endpoint`, so that the application's name brings what is missing.
    """
    application = sns.create_platform_application(
        Name="vartalap:endpoint/GCM/vartalap", Platform="GCM", Attributes={"PlatformCredential": "none"},
    )["PlatformApplicationArn"]
    return sns.create_platform_endpoint(PlatformApplicationArn=application, Token="token")["EndpointArn"]


class ResponsesByApi:
    """Route and integration responses, for an emulator whose CloudFormation does not know them although its API Gateway does.

    They are taken out of the template, and made by API calls with the same properties once the stack stands.
    """

    CALLS = {
        "AWS::ApiGatewayV2::RouteResponse": ("RouteId", "route_response"),
        "AWS::ApiGatewayV2::IntegrationResponse": ("IntegrationId", "integration_response"),
    }

    def __init__(self, template):
        self.resources = {n: r for n, r in template["Resources"].items() if r["Type"] in self.CALLS}
        for name in self.resources:
            del template["Resources"][name]
        for resource in template["Resources"].values():
            if "DependsOn" in resource:
                resource["DependsOn"] = [n for n in resource["DependsOn"] if n not in self.resources]

    def make(self, apigateway, physical_ids):
        for name, resource in self.resources.items():
            parent, call = self.CALLS[resource["Type"]]
            properties = {key: self.resolve(value, physical_ids) for key, value in resource["Properties"].items()}
            of = {"ApiId": properties["ApiId"], parent: properties[parent]}
            key, id_key = [call.title().replace("_", "") + suffix for suffix in ("Key", "Id")]
            existing = getattr(apigateway, f"get_{call}s")(**of)["Items"]
            same = [item for item in existing if item[key] == properties[key]]
            if same:
                getattr(apigateway, f"update_{call}")(**properties, **{id_key: same[0][id_key]})
            else:
                getattr(apigateway, f"create_{call}")(**properties)
            say(f"made {name} by an API call")

    @staticmethod
    def resolve(value, physical_ids):
        if isinstance(value, dict) and "Ref" in value:
            # Some emulators have API/ROUTE as a route's id.
            return physical_ids[value["Ref"]].split("/")[-1]
        return value


def unknown_types(error):
    """The resource types that CloudFormation does not know, if that is the error."""
    found = re.search(r"(?i)unrecognized resource types: \[([^]]*)\]", str(error))
    return set(re.split(r",\s*", found[1])) if found else set()


def parameters_of(template, given):
    """The parameters as CloudFormation wants them."""
    declared = template["Parameters"]
    unknown = sorted(set(given) - set(declared))
    missing = sorted(name for name, spec in declared.items() if "Default" not in spec and name not in given)
    if unknown or missing:
        raise Problem("; ".join(
            [f"the template has no parameter {name}" for name in unknown]
            + [f"the parameter {name} is missing" for name in missing]
        ))
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]


def status_of(cloudformation, stack):
    try:
        return cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
    except botocore.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return None
        raise


def settled(cloudformation, stack, timeout):
    """Waits until nothing is in progress, and returns the status; None when there is no stack."""
    deadline = time.monotonic() + timeout
    while True:
        status = status_of(cloudformation, stack)
        if status is None or not status.endswith("_IN_PROGRESS"):
            return None if status == "DELETE_COMPLETE" else status
        if time.monotonic() > deadline:
            raise Problem(f"the stack {stack} is still in {status} after {timeout} s")
        time.sleep(0.5)


def failures(cloudformation, stack):
    """What went wrong, oldest first."""
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    return [
        f"  {event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
        for event in reversed(events)
        if event["ResourceStatus"].endswith("_FAILED")
    ]


def deploy(cloudformation, stack, template, parameters, timeout):
    """Creates or updates the stack."""
    status = settled(cloudformation, stack, timeout)
    if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"):
        say(f"deleting what is left of {stack} ({status})")
        cloudformation.delete_stack(StackName=stack)
        status = settled(cloudformation, stack, timeout)
    call = cloudformation.update_stack if status else cloudformation.create_stack
    say(f"{'updating' if status else 'creating'} the stack {stack}")
    try:
        call(
            StackName=stack,
            TemplateBody=json.dumps(template, separators=(",", ":")),
            Parameters=parameters,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
    except botocore.exceptions.ClientError as error:
        if "No updates are to be performed" in str(error):
            say("nothing has changed")
            return
        raise
    status = settled(cloudformation, stack, timeout)
    if status not in DONE:
        raise Problem("\n".join([f"the stack {stack} ended in {status}", *failures(cloudformation, stack)]))
    say(f"the stack {stack} is in {status}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--endpoint", default="http://127.0.0.1:4566", help="of the emulator (%(default)s)")
    parser.add_argument("--region", default="us-east-1", help="(%(default)s)")
    parser.add_argument("--stack", default="vartalap", help="the stack's name (%(default)s)")
    parser.add_argument("--artifacts", type=pathlib.Path, default=TEMPLATE.parent.parent / "target" / "lambda",
                        help="holds BINARY/bootstrap for each function (target/lambda)")
    parser.add_argument("--bucket", default="vartalap-artifacts", help="where code is uploaded (%(default)s)")
    parser.add_argument("--timeout", type=float, default=120, help="seconds to wait for the stack (%(default)s)")
    parser.add_argument("--jwks", type=pathlib.Path, metavar="FILE",
                        help="publish this key set in the emulator's S3, and let Issuer and JwksUrl be where it is")
    parser.add_argument("--platform-endpoint", action="store_true",
                        help="make an endpoint of SNS that may be pushed to, and say it as the output PlatformEndpoint")
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE", dest="parameters",
                        help="of the template; Audience has no default, nor without --jwks have JwksUrl and Issuer")
    return parser.parse_args()


def main():
    args = arguments()
    given = {
        "ConnectionsBase": f"{args.endpoint.rstrip('/')}/_aws/execute-api",
        "Architecture": "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64",
    }
    for parameter in args.parameters:
        name, equals, value = parameter.partition("=")
        if not equals:
            raise Problem(f"--parameter {parameter} is not NAME=VALUE")
        given[name] = value

    # Several tries, since an emulator that was just started may not answer yet.
    config = botocore.config.Config(retries={"mode": "standard", "total_max_attempts": 5}, s3={"addressing_style": "path"})
    session = boto3.Session(region_name=args.region, **CREDENTIALS)

    def client(service):
        return session.client(service, endpoint_url=args.endpoint, config=config)

    cloudformation, s3 = client("cloudformation"), client("s3")
    make_bucket(s3, args.bucket)
    if args.jwks:
        publish(s3, args.bucket, args.jwks.read_bytes(), given.setdefault("Issuer", issuer_of(args.endpoint, args.bucket)))
        given.setdefault("JwksUrl", f"{issuer_of(args.endpoint, args.bucket)}/{JWKS}")

    endpoint = platform_endpoint(client("sns")) if args.platform_endpoint else None
    if endpoint:
        given.setdefault("PlatformEndpoints", f"{endpoint.rpartition('/')[0]}/*")

    template = yaml.load(TEMPLATE.read_text(encoding="utf-8"), Loader=TemplateLoader)
    parameters = parameters_of(template, given)
    upload(s3, args.bucket, template, args.artifacts)
    responses = None
    try:
        deploy(cloudformation, args.stack, template, parameters, args.timeout)
    except botocore.exceptions.ClientError as error:
        unknown = unknown_types(error)
        if not unknown or not unknown <= set(ResponsesByApi.CALLS):
            raise
        say(f"this CloudFormation does not know {', '.join(sorted(unknown))}: left to API calls")
        responses = ResponsesByApi(template)
        deploy(cloudformation, args.stack, template, parameters, args.timeout)
    if responses:
        resources = cloudformation.describe_stack_resources(StackName=args.stack)["StackResources"]
        responses.make(client("apigatewayv2"), {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in resources})
    outputs = cloudformation.describe_stacks(StackName=args.stack)["Stacks"][0]["Outputs"]
    told = {output["OutputKey"]: output["OutputValue"] for output in outputs}
    if endpoint:
        told["PlatformEndpoint"] = endpoint
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    try:
        main()
    except Problem as problem:
        sys.exit(f"error: {problem}")
    except botocore.exceptions.EndpointConnectionError as error:
        sys.exit(f"error: nothing answers there: {error}")
    except botocore.exceptions.ClientError as error:
        sys.exit(f"error: {error}")
