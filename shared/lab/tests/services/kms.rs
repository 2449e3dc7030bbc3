//! Keys.

use crate::{assert_error, of, parsed, shared, text};
use lab::Client;
use lab::http::ApiResponse;
use serde_json::{Value, json};

async fn describe(client: &Client, name: &str) -> ApiResponse {
    client.json("kms", "DescribeKey", &json!({ "KeyId": name })).await.unwrap()
}

#[test]
fn a_key_is_found_by_each_of_its_names() {
    shared(async |lab| {
        let client = of(lab, "100000000040");
        let key = client.must_json("kms", "CreateKey", &json!({ "Description": "phi" })).await.unwrap();
        let (id, arn) = (key["KeyMetadata"]["KeyId"].as_str().unwrap(), key["KeyMetadata"]["Arn"].as_str().unwrap());
        let alias = json!({ "AliasName": "alias/phi", "TargetKeyId": id });
        assert_eq!(client.json("kms", "CreateAlias", &alias).await.unwrap().status, 200);
        let alias_arn = "arn:aws:kms:us-east-1:100000000040:alias/phi";
        for name in [id, arn, "alias/phi", alias_arn] {
            let found = parsed(&describe(&client, name).await);
            let metadata = &found["KeyMetadata"];
            assert_eq!(metadata["Arn"], arn, "{name}");
            let told = ["KeyState", "KeyUsage", "KeySpec", "KeyManager", "MultiRegion"].map(|name| &metadata[name]);
            assert_eq!(json!(told), json!(["Enabled", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "CUSTOMER", false]));
        }
        for name in ["alias/none", "00000000-0000-0000-0000-000000000000", &arn.replace("us-east-1", "eu-west-1")] {
            assert_error(&describe(&client, name).await, 400, "NotFoundException");
        }
        // Another region, and another account, unless the key's policy names it.
        assert_error(&describe(&lab.client("100000000040", "eu-west-1"), id).await, 400, "NotFoundException");
        let other = of(lab, "100000000041");
        assert_error(&describe(&other, arn).await, 400, "AccessDeniedException");
        let policy = client.must_json("kms", "GetKeyPolicy", &json!({ "KeyId": id, "PolicyName": "default" })).await;
        let policy = policy.unwrap()["Policy"].as_str().unwrap().replace("100000000040:root", "100000000041:root");
        let set = json!({ "KeyId": id, "PolicyName": "default", "Policy": policy });
        assert_eq!(client.json("kms", "PutKeyPolicy", &set).await.unwrap().status, 200);
        assert_eq!(parsed(&describe(&other, arn).await)["KeyMetadata"]["AWSAccountId"], "100000000040");
        let by_alias = client.json("kms", "GetKeyPolicy", &json!({ "KeyId": "alias/phi" })).await.unwrap();
        assert_error(&by_alias, 400, "NotFoundException");
    });
}

#[test]
fn keys_of_awss_own_are_there() {
    shared(async |lab| {
        let client = of(lab, "100000000042");
        for alias in ["alias/aws/s3", "alias/aws/ebs", "alias/aws/rds"] {
            let found = parsed(&describe(&client, alias).await);
            assert_eq!(
                (&found["KeyMetadata"]["KeyManager"], &found["KeyMetadata"]["KeyState"]),
                (&json!("AWS"), &json!("Enabled"))
            );
            let again = parsed(&describe(&client, alias).await);
            assert_eq!(found["KeyMetadata"]["Arn"], again["KeyMetadata"]["Arn"]);
            let elsewhere = parsed(&describe(&lab.client("100000000042", "eu-west-1"), alias).await);
            assert_ne!(found["KeyMetadata"]["KeyId"], elsewhere["KeyMetadata"]["KeyId"]);
        }
        let key = client.must_json("kms", "CreateKey", &json!({})).await.unwrap();
        let alias = json!({ "AliasName": "alias/phi", "TargetKeyId": key["KeyMetadata"]["KeyId"] });
        client.json("kms", "CreateAlias", &alias).await.unwrap();
        let names = |list: &Value| -> Vec<String> {
            let aliases = list["Aliases"].as_array().unwrap();
            aliases.iter().map(|alias| alias["AliasName"].as_str().unwrap().to_owned()).collect()
        };
        let first = client.must_json("kms", "ListAliases", &json!({ "Limit": 3 })).await.unwrap();
        assert_eq!((names(&first).len(), &first["Truncated"]), (3, &json!(true)));
        let rest = client.must_json("kms", "ListAliases", &json!({ "Limit": 3, "Marker": first["NextMarker"] })).await;
        let rest = rest.unwrap();
        assert_eq!((names(&rest), &rest["Truncated"]), (vec!["alias/phi".to_owned()], &json!(false)));
        let own =
            client.must_json("kms", "ListAliases", &json!({ "KeyId": key["KeyMetadata"]["KeyId"] })).await.unwrap();
        assert_eq!(names(&own), ["alias/phi"]);
    });
}

#[test]
fn a_key_that_is_off_or_going_says_so() {
    shared(async |lab| {
        let client = of(lab, "100000000043");
        let key = client.must_json("kms", "CreateKey", &json!({})).await.unwrap();
        let id = key["KeyMetadata"]["KeyId"].as_str().unwrap();
        let state = async || parsed(&describe(&client, id).await)["KeyMetadata"]["KeyState"].clone();
        // By its id, or by its ARN.
        let arn = &key["KeyMetadata"]["Arn"];
        for (operation, name, then) in
            [("DisableKey", arn, "Disabled"), ("EnableKey", arn, "Enabled"), ("DisableKey", &json!(id), "Disabled")]
        {
            client.must_json("kms", operation, &json!({ "KeyId": name })).await.unwrap();
            assert_eq!(state().await, then);
        }
        let gone =
            client.json("kms", "ScheduleKeyDeletion", &json!({ "KeyId": id, "PendingWindowInDays": 7 })).await.unwrap();
        assert_eq!(gone.status, 200, "{}", text(&gone));
        assert_eq!(state().await, "PendingDeletion");
        let refused = client.json("kms", "EnableKey", &json!({ "KeyId": id })).await.unwrap();
        assert_error(&refused, 400, "KMSInvalidStateException");
    });
}
