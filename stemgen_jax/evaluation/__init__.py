"""Evaluation: does a model use its context, and how good are its stems?"""
