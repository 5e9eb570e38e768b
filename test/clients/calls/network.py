"""EC2: the network around a database."""

from calls import Text, client


def network(c):
    ec2 = client("ec2")
    done = {"ResponseMetadata.HTTPStatusCode": 200}
    zones = c.ok(ec2.describe_availability_zones, {"length(AvailabilityZones)": 3, "AvailabilityZones[0].State": "available"})
    a, b, _ = [z["ZoneName"] for z in zones["AvailabilityZones"]]
    c.ok(ec2.describe_vpcs, {"Vpcs[].IsDefault": [True]}, Filters=[{"Name": "is-default", "Values": ["true"]}])
    vpc = c.ok(ec2.create_vpc, {"Vpc.CidrBlock": "10.7.0.0/16", "Vpc.IsDefault": False}, CidrBlock="10.7.0.0/16",
               TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "test"}]}])["Vpc"]["VpcId"]
    c.wait(ec2, "vpc_exists", VpcIds=[vpc])
    c.wait(ec2, "vpc_available", VpcIds=[vpc])
    c.refused(ec2.create_vpc, "InvalidParameterValue", 400, "", CidrBlock="10.7.0.0/99")
    c.refused(ec2.describe_vpcs, "InvalidVpcID.NotFound", 400, "does not exist", VpcIds=["vpc-00000000000000000"])
    c.ok(ec2.modify_vpc_attribute, done, VpcId=vpc, EnableDnsHostnames={"Value": True})
    c.ok(ec2.describe_vpc_attribute, {"EnableDnsHostnames.Value": True}, VpcId=vpc, Attribute="enableDnsHostnames")
    one = c.ok(ec2.create_subnet, {"Subnet.AvailabilityZone": a, "Subnet.AvailableIpAddressCount": 251}, VpcId=vpc,
               CidrBlock="10.7.1.0/24", AvailabilityZone=a)["Subnet"]["SubnetId"]
    two = c.ok(ec2.create_subnet, {"Subnet.AvailabilityZone": b}, VpcId=vpc, CidrBlock="10.7.2.0/24", AvailabilityZone=b)["Subnet"]["SubnetId"]
    c.wait(ec2, "subnet_available", SubnetIds=[one, two])
    c.refused(ec2.create_subnet, "InvalidSubnet.Conflict", 400, "conflicts with another subnet", VpcId=vpc, CidrBlock="10.7.1.0/25")
    c.refused(ec2.create_subnet, "InvalidSubnet.Range", 400, "is invalid", VpcId=vpc, CidrBlock="10.8.1.0/24")
    c.ok(ec2.create_tags, done, Resources=[one, two], Tags=[{"Key": "tier", "Value": "db"}])
    c.pages(ec2, "describe_subnets", "Subnets[].Tags[0].Value", ["db", "db"], Filters=[{"Name": "tag:tier", "Values": ["db"]}])
    c.ok(ec2.describe_tags, {"Tags[].ResourceType": ["subnet", "subnet"]}, Filters=[{"Name": "key", "Values": ["tier"]}])
    c.refused(ec2.describe_subnets, "InvalidParameterValue", 400, "The filter 'nonsense' is invalid", Filters=[{"Name": "nonsense", "Values": ["x"]}])
    gateway = c.ok(ec2.create_internet_gateway, {"InternetGateway.Attachments": []})["InternetGateway"]["InternetGatewayId"]
    c.wait(ec2, "internet_gateway_exists", InternetGatewayIds=[gateway])
    c.ok(ec2.attach_internet_gateway, done, InternetGatewayId=gateway, VpcId=vpc)
    table = c.ok(ec2.create_route_table, {"RouteTable.Routes[].GatewayId": ["local"]}, VpcId=vpc)["RouteTable"]["RouteTableId"]
    c.ok(ec2.create_route, {"Return": True}, RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    link = c.ok(ec2.associate_route_table, {"AssociationState.State": "associated"}, RouteTableId=table, SubnetId=one)["AssociationId"]
    c.ok(ec2.describe_route_tables, {"RouteTables[0].Associations[].SubnetId": [one]}, RouteTableIds=[table])

    group = c.ok(ec2.create_security_group, {"GroupId": Text("sg-")}, GroupName="db", Description="of a test", VpcId=vpc)["GroupId"]
    c.wait(ec2, "security_group_exists", GroupIds=[group])
    c.refused(ec2.create_security_group, "InvalidGroup.Duplicate", 400, "already exists", GroupName="db", Description="again", VpcId=vpc)
    rule = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "IpRanges": [{"CidrIp": "10.7.0.0/16", "Description": "inside"}]}
    c.ok(ec2.authorize_security_group_ingress, {"Return": True, "SecurityGroupRules[].CidrIpv4": ["10.7.0.0/16"]}, GroupId=group, IpPermissions=[rule])
    c.refused(ec2.authorize_security_group_ingress, "InvalidPermission.Duplicate", 400, "already exists", GroupId=group, IpPermissions=[rule])
    c.ok(ec2.describe_security_group_rules, {"SecurityGroupRules[?!IsEgress].FromPort": [5432]}, Filters=[{"Name": "group-id", "Values": [group]}])
    c.ok(ec2.describe_security_groups, {"SecurityGroups[0].IpPermissions[0].IpRanges[0].Description": "inside"}, GroupIds=[group])
    c.ok(ec2.revoke_security_group_ingress, {"Return": True}, GroupId=group, IpPermissions=[rule])
    c.refused(ec2.revoke_security_group_ingress, "InvalidPermission.NotFound", 400, "does not exist", GroupId=group, IpPermissions=[rule])
    c.refused(ec2.describe_vpcs, "DryRunOperation", 412, "Request would have succeeded", DryRun=True)
    c.refused(ec2.delete_vpc, "DependencyViolation", 400, "has dependencies and cannot be deleted", VpcId=vpc)
    c.ok(ec2.delete_security_group, done, GroupId=group)
    c.ok(ec2.disassociate_route_table, done, AssociationId=link)
    c.ok(ec2.delete_route_table, done, RouteTableId=table)
    c.ok(ec2.detach_internet_gateway, done, InternetGatewayId=gateway, VpcId=vpc)
    c.ok(ec2.delete_internet_gateway, done, InternetGatewayId=gateway)
    for subnet in (one, two):
        c.ok(ec2.delete_subnet, done, SubnetId=subnet)
    c.ok(ec2.delete_vpc, done, VpcId=vpc)
    c.refused(ec2.delete_vpc, "InvalidVpcID.NotFound", 400, "does not exist", VpcId=vpc)
