"""What bench/compare is made of; only the Python standard library."""
