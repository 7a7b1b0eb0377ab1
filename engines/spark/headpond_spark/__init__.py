"""Headpond's branches on Spark. Spark computes; what it reads and writes are the tables and objects of docs/formats."""
