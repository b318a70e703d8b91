"""Small programs of the repository itself; none is installed with the product."""
