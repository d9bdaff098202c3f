"""The services of an OpenStack cloud, for a lab: the real ones, on the loopback interface."""
