"""The conformance kit, tested by sabotage: faults are planted in the sources of rules and scheduler, and counted."""
