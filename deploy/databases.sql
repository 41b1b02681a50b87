-- Studies and MLflow each have a database: both keep the version of their tables in one of the same name.
CREATE DATABASE mlflow;
